"""Features that articles lack, filled in by one of several methods, and which of these helps."""
