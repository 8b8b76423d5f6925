"""The folder of a run: what lies where, and what trained it."""
