"""Clients that are processes of their own: there are too many of them for one."""
