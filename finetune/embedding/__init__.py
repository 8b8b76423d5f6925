"""Features of a catalogue's items, in a store: which text of each, shared by processes, split over machines, joined."""
