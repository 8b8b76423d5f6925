"""Captions to look at in a browser, and people's ratings of them."""
