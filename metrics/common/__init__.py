"""What every other room uses: errors, files, caches, pages."""
