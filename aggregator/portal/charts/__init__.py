"""Charts as pure functions of plain numbers: figures in, deterministic JSON out."""
