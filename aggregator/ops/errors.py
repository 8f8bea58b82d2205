"""What can go wrong while running the product; each message says how to get on."""


class ServersFailed(Exception):
    """A server of ours does not start or stop, or an external one does not fit."""


class ChildFailed(Exception):
    """A supervised process did not become ready or ended by itself."""
