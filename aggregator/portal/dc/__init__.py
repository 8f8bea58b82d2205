"""Pages of a data-centre operator."""
