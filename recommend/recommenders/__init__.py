"""Models that rank articles for customers, under one contract."""
