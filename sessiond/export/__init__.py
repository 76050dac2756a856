"""A session as a document: lossless for machines, readable for people.

`format` is the log as JSON and NDJSON, both ways; `story` is what the readable forms tell,
`markdown` and `pdf` tell it; `rendering` makes any of them of a history as it is read. Nothing here
does I/O but spooling to files that have no name, and nothing in a session is fetched, executed or
interpreted. It needs what the extras `server` and `cli` bring; a PDF what the extra `pdf` does.
"""
