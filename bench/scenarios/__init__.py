"""The groups of figures, each on parts of its own."""
