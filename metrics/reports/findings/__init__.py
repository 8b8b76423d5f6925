"""What goes wrong in captions, counted."""
