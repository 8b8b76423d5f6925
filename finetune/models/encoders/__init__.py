"""Encoders of photos and texts, all with the contract of `base.Encoder`."""
