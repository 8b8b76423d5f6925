"""One page on a catalogue's features: the commands of the other rooms in a row; pages of any commands joined."""
