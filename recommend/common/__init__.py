"""What the rooms share: columns of items, pages."""
