"""How good the items found are: attribute precision, and the tables of methods."""
