"""The one JSON mapping of our messages, for REST, event streams, WebSockets and the command.

`spelling` names things, `showing` turns messages into JSON, `parsing` reads JSON text, and
`reading` turns it into messages and names every bad field. It needs orjson, which the extras
`server` and `cli` bring; the client library alone does without.
"""
