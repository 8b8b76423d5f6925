"""Caption records and what is known of the run that wrote them."""
