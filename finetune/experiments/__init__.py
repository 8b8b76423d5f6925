"""Whole paths and many of them: a recipe's pipeline, grids, sweeps, ablations."""
