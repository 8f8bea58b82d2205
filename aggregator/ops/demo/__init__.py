"""The demonstration grid and its day: data files and the pure code that reads them."""
