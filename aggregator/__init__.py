"""The business around the market and every door to the world."""
