"""Pretrained encoders of photos and texts: loading them, and their vectors."""
