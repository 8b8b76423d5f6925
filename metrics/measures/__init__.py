"""The measures, each a file or a folder of its own."""
