"""What the fuzzing caller knows: without it nearly every request would be about nothing."""

from __future__ import annotations

import zlib
from typing import Any

from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation

USER = "fuzz"
MEMBER = "somebody"
"""With whom all sessions are shared."""

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


# What depends on a session's state, or on the time: the document says it in words alone.
NEVER = "2200-01-01T00:00:00Z"
TRUE: dict[str, Any] = {"atSeq": 1, "toSeq": 1, "userId": MEMBER, "expiresAt": NEVER}


def link(case: Case[Any]) -> Case[Any]:
    """Let most valid requests meet something that is there; which, the case itself says.

    Three of four valid paths name what is known, and seven of eight valid headers let it be
    reached. What is meant to be bad stays exactly as bad as it is.
    """
    _tell_the_truth(case)
    parameters, headers = case.path_parameters, case.headers
    chance = zlib.crc32(repr((parameters, headers, case.body)).encode())
    if headers and chance % 8 and _is_valid(case, ParameterLocation.HEADER):
        for name in RARE_HEADERS:
            headers.pop(name, None)
    # Whom a session can be given to, only its own members tell.
    known_one = chance % 4 != 0 or case.path.endswith("/owner")
    if isinstance(parameters, dict) and known_one and _is_valid(case, ParameterLocation.PATH):
        sessions = DOOMED if case.method.upper() == "DELETE" else SESSIONS
        known = {
            "sessionId": sessions[chance // 8 % len(sessions)],
            "userId": MEMBER if "/members/" in case.path else USER,
            "outputId": f"o{chance // 8 % 2}",
            "name": f"template-{chance // 8 % 3}",
        }
        case.path_parameters = {name: known.get(name, old) for name, old in parameters.items()}
    return case


def _tell_the_truth(case: Case[Any]) -> None:
    if isinstance(case.body, dict) and _is_valid(case, ParameterLocation.BODY):
        case.body.update({name: true for name, true in TRUE.items() if name in case.body})
    query = case.query
    if not _is_valid(case, ParameterLocation.QUERY):
        if query.get("pageToken") == "":  # which is as good as none
            query["pageToken"] = "bad"
        return
    if "atTime" in query:
        query["atTime"] = NEVER
    if "atSeq" in query:
        query["atSeq"] = 1
        query.pop("atTime", None)


def _is_valid(case: Case[Any], where: ParameterLocation) -> bool:
    meta: Any = case.meta
    component = None if meta is None else meta.components.get(where)
    return component is None or component.mode is GenerationMode.POSITIVE
