"""What every other room uses: errors, files, locks, parallel work, charts, templates."""
