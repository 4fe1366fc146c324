"""The spatial units of a run: attributes, climate, and made-up ones."""
