"""The table of who may do what is whole, and says no where it must."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdBinary
from gateway.annotations import operations
from gateway.app import LIVE, STORE
from sessiond.v1 import job_pb2, live_pb2
from show import authz
from show.authz_table import (
    ABSENT,
    ACTORS,
    DENIED,
    FRAMES,
    MAY,
    ROUTES,
    RPCS,
    STATES,
    Row,
    expected,
)
from show.outcome import Outcome

BY_HAND = {
    "GET /api/sessions/{session_id}/events",
    "GET /api/sessions/{session_id}/export",
    "GET /api/users/{user_id}/events",
    "GET /api/ws/{session_id}",
    "GET /api/changes",
    "POST /api/import",
}
JOBS = job_pb2.DESCRIPTOR.services_by_name["JobService"]


def matches(template: str, row: str) -> bool:
    return re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), row) is not None


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    """A new one is decided about before it is served."""
    served = BY_HAND | {f"{each.verb} {each.template}" for each in operations([STORE, LIVE])}
    assert {each for each in served if not any(matches(each, row) for row in ROUTES)} == set()
    assert {row for row in ROUTES if not any(matches(each, row) for each in served)} == set()


def test_every_rpc_and_every_frame_has_a_row() -> None:
    """Of the services that callers have."""
    services = (STORE, LIVE, JOBS)
    assert RPCS.keys() == {f"{each.name}/{rpc.name}" for each in services for rpc in each.methods}
    frames = live_pb2.ClientFrame.DESCRIPTOR.oneofs_by_name["frame"].fields
    assert FRAMES.keys() == {field.name for field in frames}


def test_rows_name_callers_that_there_are() -> None:
    """A slip of the pen would let nobody in, or be taken for a rule."""
    for row in (*ROUTES.values(), *RPCS.values(), *FRAMES.values()):
        assert row.may
        assert row.may <= set(ACTORS)
        assert row.of in ("session", "user", "all")


@pytest.mark.parametrize(
    ("actor", "state", "told"),
    [
        ("owner", "held", MAY),
        ("viewer", "held", DENIED),
        ("stranger", "held", ABSENT),
        ("former member", "moving", ABSENT),
        ("owner", "deleted", ABSENT),
        ("anonymous", "deleted", "401"),
    ],
)
def test_a_row_says_what_each_is_told(actor: str, state: str, told: str) -> None:
    """Who sees it is refused; for others it is not there."""
    assert expected(Row(frozenset({"owner"})), actor, state) == told


async def test_a_table_that_is_wrong_is_found_out(
    etcd_binary: EtcdBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product is asked: what it says else than the table is told by its cell."""
    rows = {"frames": {"pause": Row(frozenset({"viewer"}), FRAMES["pause"].body)}}
    monkeypatch.setattr(authz, "SURFACES", rows)
    outcome = Outcome("authz", 1)
    await authz.run(
        etcd_binary,
        outcome,
        seconds=1,
        told=lambda _: None,
        data=tmp_path,
        states=["held"],
        actors=["editor", "viewer", "stranger"],
    )
    told = json.loads(outcome.line())
    assert (told["cells"], told["as_expected"], told["ok"]) == (3, 1, False)
    assert sorted(outcome.wrong) == [
        "frames pause, by editor, held: may instead of 403",
        "frames pause, by viewer, held: 403 instead of may",
    ]
    assert len(STATES) == 4


@pytest.mark.alone
async def test_every_cell_is_as_the_table_says(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    """Everybody asks everything of a session in every state."""
    outcome = Outcome("authz", 1)
    await authz.run(etcd_binary, outcome, seconds=1, told=lambda _: None, data=tmp_path)
    assert outcome.wrong == []
    told = json.loads(outcome.line())
    asked = len(ROUTES) + len(RPCS) + len(FRAMES)
    assert told["cells"] == told["as_expected"] == len(ACTORS) * len(STATES) * asked
