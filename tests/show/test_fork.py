"""The show of forks: on real parts once, and that its judgement can say no."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdBinary
from sessiond.v1.session_pb2 import Message, Session
from show import fork
from show.fork import Fork, Size
from show.outcome import Outcome

SMALL = Size(messages=300, forks=2, per_second=20)
SAID = [Message(session_id="parent", seq=2, content="hello")]


def made() -> Session:
    """Return what a fork of a session with one message must be."""
    session = Session(id="f", revision=3)
    session.lineage.session_id, session.lineage.seq = "parent", 2
    session.conversation_history.add(session_id="f", seq=2, content="hello")
    return session


def test_a_fork_as_it_should_be_is_no_complaint() -> None:
    assert list(Fork("f", 2).complaints(made(), "parent", SAID)) == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda session: session.ClearField("lineage"), "f does not say where it comes from"),
        (lambda session: setattr(session, "revision", 2), "f has 2 events"),
        (
            lambda session: session.ClearField("conversation_history"),
            "f holds other messages than its parent",
        ),
    ],
)
def test_a_fork_that_is_not_whole_is_named(harm: Callable[[Session], None], said: str) -> None:
    session = made()
    harm(session)
    assert list(Fork("f", 2).complaints(session, "parent", SAID)) == [said]


def test_a_fork_that_was_seen_half_made_is_named() -> None:
    seen = Fork("f", 2, partial=[1])
    assert list(seen.complaints(made(), "parent", SAID)) == ["f was seen with 1 events"]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


async def test_forks_are_whole_though_a_store_dies(
    etcd_binary: EtcdBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few short ones, while the parent goes on."""
    for aim in ("FORK_AIM_MS", "HARM_AIM"):  # times are no test of a busy machine
        monkeypatch.setattr(fork, aim, 1e6)
    outcome = Outcome("fork", 1)
    await fork.run(etcd_binary, outcome, seconds=4, told=lambda _: None, data=tmp_path, size=SMALL)
    told = json.loads(outcome.line())
    assert outcome.ok, told
    assert (told["messages"], told["forks"]) == (300, 2)
    assert told["planned"] == told["acknowledged"] > 0
    assert files(tmp_path) == set()
