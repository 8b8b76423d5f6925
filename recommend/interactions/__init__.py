"""Purchases: from CSV to integers in Parquet, the settings of the paper's Table 1, and splits."""
