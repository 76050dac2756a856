"""The pure parts alone: no process, no network, no clock."""
