"""One pass over all systems and measures."""
