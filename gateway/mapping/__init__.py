"""The one JSON mapping of our messages: REST, server-sent events and WebSocket show it alike.

`spelling` names things, `showing` turns messages into JSON, `reading` turns JSON into messages and
names every bad field, `texts` does that for values that stand in paths and queries.
"""
