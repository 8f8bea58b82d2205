"""Messages that must leave: stable id, attempts, backoff, one hardened client."""
