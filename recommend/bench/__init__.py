"""Time of search compared with the bare matrix products."""
