"""The demo catalogue: garments that are sampled, drawn, described and sold."""
