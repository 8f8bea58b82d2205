"""What can go wrong while running the product; each message says how to get on."""


class CannotRun(Exception):
    """The product cannot run here as things are: shown to the reader without a traceback."""


class ServersFailed(CannotRun):
    """A server of ours does not start or stop, or an external one does not fit."""


class ChildFailed(CannotRun):
    """A supervised process did not become ready or ended by itself."""
