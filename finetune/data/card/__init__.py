"""The catalogue card: a page that describes a catalogue."""

CARD_MARK = ('"split_method": ', '"bare_words": ')
"""Keys of every `catalogue.json`, by which it is recognised as ours."""
