"""Features joined and reduced."""
