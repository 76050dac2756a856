"""The rules of a session: pure, and in one place.

`decide(session, change, ...)` says what a change means as events, or refuses it; `apply(session,
event)` folds one event into the state. Standard library only: no I/O, no clock, no chance, no
transport. Live, Store, the contract tests and the client library all use these same functions.
"""
