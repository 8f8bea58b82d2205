"""Server-rendered pages: market day, grid operator, control room; Japanese first."""
