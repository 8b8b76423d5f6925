"""Photos of files that anybody may have made: found in their folder, read within bounds, made small for pages."""
