"""Instructions to sites and their states: planned, sent, acknowledged, finished."""
