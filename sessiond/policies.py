"""Retention policies: which sessions are due, by their summaries alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sessiond.mapping.spelling import time_text
from sessiond.numbers import STATUS_WORD
from sessiond.session.state import Status
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.wire import timestamp_from_wire

_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")
_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class BadPolicies(Exception):
    """A file of policies cannot be followed.

    Attributes:
        wrong: all that is wrong with it, one line each.
    """

    def __init__(self, wrong: Sequence[str]) -> None:
        self.wrong = wrong
        super().__init__("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class Policy:
    """What is due: sessions that stand like this and are so old.

    `status` and `workflow` None are any. `inactive_for_ms` is since the last change, `age_ms` since
    the session was made; both count where both are given. `export` says whether a session is
    exported before it is deleted.
    """

    name: str
    status: Status | None = None
    workflow: str | None = None
    inactive_for_ms: int = 0
    age_ms: int = 0
    export: bool = True

    def covers(self, summary: SessionSummary, now_ms: int) -> bool:
        """Return whether the session is due by this policy."""
        return (
            (self.status is None or STATUS_WORD.get(summary.status) is self.status)
            and (self.workflow is None or summary.workflow_id == self.workflow)
            and now_ms - timestamp_from_wire(summary.last_active) >= self.inactive_for_ms
            and now_ms - timestamp_from_wire(summary.created_at) >= self.age_ms
        )


def covering(policies: Iterable[Policy], summary: SessionSummary, now_ms: int) -> Policy | None:
    """Return the first policy that covers a session, held or not."""
    return next((policy for policy in policies if policy.covers(summary, now_ms)), None)


def due(policies: Iterable[Policy], summary: SessionSummary, now_ms: int) -> Policy | None:
    """Return the first policy by which a session is due; None where a legal hold keeps it."""
    return None if summary.held else covering(policies, summary, now_ms)


def told(summary: SessionSummary, policy: Policy) -> dict[str, str]:
    """Return what a dry run says of a session that is due."""
    return {
        "session": summary.id,
        "user": summary.user_id,
        "policy": policy.name,
        "lastActive": time_text(summary.last_active),
        "createdAt": time_text(summary.created_at),
    }


def load_policies(path: Path) -> tuple[Policy, ...]:
    """Return the policies that a YAML file lists, in its order.

    Raises:
        BadPolicies: with all that is wrong with it.
    """
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError:
        raise BadPolicies([f"{path}: cannot be read"]) from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise BadPolicies([f"{path}: is not YAML{where}"]) from None
    wrong: list[str] = []
    policies = _policies(document, wrong)
    if wrong:
        raise BadPolicies(wrong)
    return policies


def _policies(document: object, wrong: list[str]) -> tuple[Policy, ...]:
    listed = document.get("policies") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not isinstance(document, dict) or len(document) > 1:
        wrong.append("must hold one mapping, of `policies` to a list")
        return ()
    found = []
    for number, each in enumerate(listed, start=1):
        if not isinstance(each, dict):
            wrong.append(f"policy {number}: must be a mapping")
        elif (policy := _policy(each, f"policy {number}", wrong)) is not None:
            found.append(policy)
    names = [policy.name for policy in found]
    wrong += [
        f"{name}: is named twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    return tuple(found)


def _policy(fields: Mapping[Any, Any], what: str, wrong: list[str]) -> Policy | None:
    before = len(wrong)
    for key in fields.keys() - _FIELDS.keys():
        wrong.append(f"{what}: {key}: is not known")
    given = {}
    for key, read in _FIELDS.items():
        if key in fields:
            try:
                given[key] = read(fields[key])
            except ValueError as error:
                wrong.append(f"{what}: {key}: {error}")
    if "name" not in fields:
        wrong.append(f"{what}: name: is required")
    if not fields.keys() & {"inactive_for", "age"}:
        wrong.append(f"{what}: inactive_for or age: is required")
    if len(wrong) > before:
        return None
    return Policy(
        given["name"],
        given.get("status"),
        given.get("workflow"),
        given.get("inactive_for", 0),
        given.get("age", 0),
        given.get("export", True),
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 characters of a-z, 0-9 and '-'")
    return value


def _status(value: object) -> Status:
    known = [status.value for status in Status]
    if value not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return Status(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _choice(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _duration(value: object) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a number and s, m, h or d, as in 90d")
    return int(found[1]) * _MS[found[2]]


_FIELDS: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": _name,
    "status": _status,
    "workflow": _text,
    "inactive_for": _duration,
    "age": _duration,
    "export": _choice,
}
