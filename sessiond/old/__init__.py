"""The old system's records: read as they were written out, and told as histories of ours.

The old system kept each session as one JSON value under `session:{id}`, and each user's session ids
as a list under `user:{id}:sessions`.
"""
