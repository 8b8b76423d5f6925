"""Tables of recommenders from one recipe, beside the published rows."""
