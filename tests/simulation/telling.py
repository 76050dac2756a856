"""The keys of etcd, told as the in-memory reference has them: so one judge judges both."""

from __future__ import annotations

from services.store.history import History, Key
from services.store.keys import Keys
from tests.contracts.named import named


def key_of(key: bytes) -> Key:
    """Return a key of etcd as a history of keys takes it, in the same order."""
    return (key.decode("latin-1"),)


def bytes_of(key: Key) -> bytes:
    """Return the key of etcd that was taken so."""
    return str(key[0]).encode("latin-1")


def told(kept: History) -> History:
    """Return a history of etcd's keys, with all values, as one of the reference's keys."""
    history = History()
    history.revision = kept.revision
    for key in kept._keys:
        if name := _told(bytes_of(key)):
            history._values[name] = kept._values[key]
    history._keys = sorted(history._values)
    return history


def _told(key: bytes) -> Key:
    try:
        return named(Keys().parse(key))
    except ValueError:
        return ()
