"""Clients of a round, whose every operation is written down."""
