"""Items searched by their features."""
