"""The round trip: its samples are what they say, its judgement can say no; once on real parts."""

from __future__ import annotations

import copy
import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
import typst

from cluster.etcd_binary import EtcdBinary
from sessiond.old.converting import Converted
from sessiond.old.records import OldRecords
from show import roundtrip
from show.old_import import different
from show.old_records import DAMAGES, write
from show.outcome import Outcome
from show.pages import write_pages
from tests.show.test_shows import files
from tests.unit.stories import CHAT, MASTER

WORKFLOWS = {MASTER.id: MASTER, CHAT.id: CHAT}
# Only an installation knows what time it is.
LATER = "it is in the future"


def test_samples_are_good_or_damaged_as_they_say(tmp_path: Path) -> None:
    """Each damage is met, and each good record is a history without a difference."""
    sample = write(tmp_path / "old", count=600, users=5, chance=random.Random(3))
    assert set(sample.damaged.values()) == set(DAMAGES)
    good = {f"session:{one}" for sessions in sample.sessions.values() for one in sessions}
    assert len(good) + len(sample.damaged) == 600
    damaged = {key for key, damage in sample.damaged.items() if damage != LATER}
    records = OldRecords(tmp_path / "old", WORKFLOWS)
    assert records.total == 600
    for key, found in records.histories():
        assert isinstance(found, Converted) is (key not in damaged), key
        if key in good:
            assert isinstance(found, Converted)
            assert found.notes == ()


def shown(was: dict[str, Any]) -> dict[str, Any]:
    """What we would show of an old session that is as it was."""
    now = copy.deepcopy(was)
    for seq, message in enumerate(now["conversationHistory"], 2):
        message["seq"] = seq
        if message["sender"] == "user":
            message["userId"] = now["userId"]
    for output in now["agentOutputs"].values():
        output["stepId"] = "a-step"
    return now | {"title": "made of the first message", "revision": 12}


@pytest.mark.parametrize(
    "name",
    ["status", "currentStep", "createdAt", "userInputs", "conversationHistory", "agentOutputs"],
)
def test_a_session_that_is_not_as_it_was_is_seen(tmp_path: Path, name: str) -> None:
    """By the field that differs; what we add is no difference."""
    sample = write(tmp_path / "old", count=60, users=1, chance=random.Random(3))
    was = next(
        one
        for one in sample.sessions["user-0"].values()
        if one["agentOutputs"] and one["conversationHistory"]
    )
    now = shown(was)
    assert different(was, now) == []
    match now[name]:
        case list(some):
            some.pop()
        case dict(some):
            some.popitem()
        case _:
            now[name] = "another"
    assert different(was, now) == [name]


async def test_the_round_trip_on_real_parts(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    """Few messages and records; all is well, and the import was interrupted."""
    outcome = Outcome("roundtrip", 1)
    size = roundtrip.Size(messages=20, records=40, users=3)
    await roundtrip.run(
        etcd_binary, outcome, seconds=1, told=lambda _: None, data=tmp_path, size=size
    )
    told = json.loads(outcome.line())
    assert outcome.ok, told
    assert (told["exports"], told["same"]) == (5, 5)
    assert told["records"] == 40 == told["imported"] + told["damaged"]
    assert told["refused"] == told["damaged"]
    pages = {f"roundtrip-{number}.png" for number in range(1, told["pages"] + 1)}
    assert len(pages) > 1
    assert files(tmp_path) == {"roundtrip.pdf"} | pages


def test_a_blank_page_is_seen(tmp_path: Path) -> None:
    """Whatever its footer says; each page is a picture beside the PDF, and older ones go."""
    source = b"""
        #set page(width: 100pt, height: 200pt, margin: (bottom: 18pt), footer: "2 / 3")
        told #pagebreak() #box() #pagebreak() again
    """
    pdf: Any = typst.compile(source)
    (tmp_path / "a-9.png").touch()
    assert write_pages(pdf, tmp_path / "a.pdf") == (3, ["page 2 of the PDF is blank"])
    assert files(tmp_path) == {"a-1.png", "a-2.png", "a-3.png"}
    head = (tmp_path / "a-1.png").read_bytes()[:24]
    assert head == b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 150, 300)
