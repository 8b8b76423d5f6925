"""A ranker of candidates by gradient-boosted trees, and what captions and photos add to it. Imports no PyTorch."""
