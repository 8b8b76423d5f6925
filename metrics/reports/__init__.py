"""Reports and comparisons of scored systems."""
