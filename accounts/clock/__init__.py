"""Market time: one SQL function that every gate, lease and stamp asks."""
