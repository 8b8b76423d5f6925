"""One page on a catalogue's features: the commands of the other rooms in a row, and their pages joined."""
