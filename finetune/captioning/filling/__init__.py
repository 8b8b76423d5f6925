"""Captions as the descriptions that a catalogue lacks."""
