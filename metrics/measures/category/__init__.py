"""Category accuracy (Acc) and its classifier."""
