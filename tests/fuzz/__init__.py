"""The gateway against its own document."""
