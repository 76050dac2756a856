"""Retention: what is due goes, after it was exported, and users who ask to be erased are."""
