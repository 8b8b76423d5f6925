"""Time of search compared with the bare matrix products; time and memory of `embed`."""
