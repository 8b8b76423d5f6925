"""SPICE 1.0."""
