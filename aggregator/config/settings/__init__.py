"""Settings: ``base`` for all, then one of ``local``, ``test``, ``production``."""
