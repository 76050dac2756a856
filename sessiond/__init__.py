"""sessiond: the state of AI-agent chat sessions, durable, ordered and live.

`Client` and `SyncClient` speak to an installation; `errors` names what can fail.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessiond import errors
    from sessiond.client.channels import Tls
    from sessiond.client.client import Client
    from sessiond.client.session import AttachedSession
    from sessiond.client.sync import SyncClient
    from sessiond.client.turn import Turn, TurnCancelled, TurnOver
    from sessiond.client.updates import Member, Presence, Reset, Token
    from sessiond.errors import SessiondError

__all__ = [
    "AttachedSession",
    "Client",
    "Member",
    "Presence",
    "Reset",
    "SessiondError",
    "SyncClient",
    "Tls",
    "Token",
    "Turn",
    "TurnCancelled",
    "TurnOver",
    "errors",
]

# Loaded when they are asked for: whoever wants the rules alone needs no transport.
_HOMES = {
    "AttachedSession": "sessiond.client.session",
    "Client": "sessiond.client.client",
    "Member": "sessiond.client.updates",
    "Presence": "sessiond.client.updates",
    "Reset": "sessiond.client.updates",
    "SessiondError": "sessiond.errors",
    "SyncClient": "sessiond.client.sync",
    "Tls": "sessiond.client.channels",
    "Token": "sessiond.client.updates",
    "Turn": "sessiond.client.turn",
    "TurnCancelled": "sessiond.client.turn",
    "TurnOver": "sessiond.client.turn",
}


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("sessiond.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
