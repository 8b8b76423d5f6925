"""Attribute precision and recall (MAP, MAR)."""
