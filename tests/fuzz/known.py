"""What the fuzzing caller knows: without it nearly every request would be about nothing."""

from __future__ import annotations

import zlib
from typing import Any

from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation

USER = "fuzz"

STATES = {
    "fresh": [],
    "talking": ["message", "message", "message"],
    "pending": ["message", "output"],
    "paused": ["output", "pause"],
    "rejected": ["output", "reject"],
    "completed": ["output", "approve"] * 8,
}
"""What is done to the sessions of each kind, in this order."""


def sessions_in(state: str) -> list[str]:
    """Return the ids of the sessions of one kind."""
    return [f"{state}-{n}" for n in range(4)]


SESSIONS = [sid for state in STATES for sid in sessions_in(state)]
DOOMED = [f"doomed-{n}" for n in range(400)]
"""Sessions to delete, so that the others stay."""


# A user may act for nobody else, and a revision made up is a stale one: with these headers nearly
# every request ends before it is looked at.
RARE_HEADERS = ("Sessiond-User", "If-Match")


def link(case: Case[Any]) -> Case[Any]:
    """Let most valid requests meet something that is there; which, the case itself says.

    Three of four valid paths name what is known, and seven of eight valid headers let it be
    reached. What is meant to be bad stays exactly as bad as it is.
    """
    parameters, headers = case.path_parameters, case.headers
    chance = zlib.crc32(repr((parameters, headers, case.body)).encode())
    if headers and chance % 8 and _is_valid(case, ParameterLocation.HEADER):
        for name in RARE_HEADERS:
            headers.pop(name, None)
    if isinstance(parameters, dict) and chance % 4 and _is_valid(case, ParameterLocation.PATH):
        sessions = DOOMED if case.method.upper() == "DELETE" else SESSIONS
        known = {
            "sessionId": sessions[chance // 8 % len(sessions)],
            "userId": USER,
            "outputId": f"o{chance // 8 % 2}",
            "name": f"template-{chance // 8 % 3}",
        }
        case.path_parameters = {name: known.get(name, old) for name, old in parameters.items()}
    return case


def _is_valid(case: Case[Any], where: ParameterLocation) -> bool:
    meta: Any = case.meta
    component = None if meta is None else meta.components.get(where)
    return component is None or component.mode is GenerationMode.POSITIVE
