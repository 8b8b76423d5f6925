"""Composed retrieval: the photos that differ from a reference as a text says; loading, training, search, R@K."""
