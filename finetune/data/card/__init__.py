"""The catalogue card: a page that says what a catalogue is like."""
