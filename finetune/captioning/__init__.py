"""Captions by a model, a run or no model at all; the formats of their files."""
