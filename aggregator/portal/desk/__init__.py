"""Pages of the market desk."""
