"""A finished run on the Hub: weights, model card, merged models."""
