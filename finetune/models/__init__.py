"""Base models, their adapters, and how much memory they take."""
