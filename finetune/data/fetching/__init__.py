"""Photos fetched from the URLs of a table."""
