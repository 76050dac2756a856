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


def link(case: Case[Any]) -> Case[Any]:
    """Put what is known into three of four valid paths; which one, the case itself says."""
    parameters = case.path_parameters
    if not isinstance(parameters, dict) or not _is_valid(case):
        return case
    chance = zlib.crc32(repr(sorted(parameters.items())).encode())
    if chance % 4 == 0:
        return case
    sessions = DOOMED if case.method.upper() == "DELETE" else SESSIONS
    known = {
        "sessionId": sessions[chance // 4 % len(sessions)],
        "userId": USER,
        "outputId": f"o{chance // 4 % 2}",
    }
    case.path_parameters = {name: known.get(name, old) for name, old in parameters.items()}
    return case


def _is_valid(case: Case[Any]) -> bool:
    """Return whether the path is meant to be valid: a bad one must stay as bad as it is."""
    meta: Any = case.meta
    if meta is None:
        return True
    component = meta.components.get(ParameterLocation.PATH)
    return component is None or component.mode is GenerationMode.POSITIVE
