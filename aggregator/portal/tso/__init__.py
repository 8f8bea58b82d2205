"""Pages of a grid operator."""
