"""What HTTP adds to the one JSON mapping (`sessiond.mapping`): `texts` in paths and queries, and
`frames` as browsers say and hear them.
"""
