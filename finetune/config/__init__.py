"""What a YAML recipe may say. Nothing here imports torch or pandas."""
