"""The catalogue card: a page that describes a catalogue."""
