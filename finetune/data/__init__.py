"""From a catalogue on disk to prepared splits."""
