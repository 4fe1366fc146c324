"""Files that are written whole or not at all, and carry a digest of their content."""
