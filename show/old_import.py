"""Taking the old system's records over by the command, and looking at what came of them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessiond.mapping.spelling import time_text
from show.old_records import Sample
from show.outcome import Outcome
from show.stage import Stage

ADMIN = "root"


async def take_over(stage: Stage, path: Path, sample: Sample, outcome: Outcome) -> None:
    """Import by the command: killed halfway, then to the end, then all of it once more."""
    keys = {f"session:{one}" for sessions in sample.sessions.values() for one in sessions}
    begin = time.monotonic()
    first = await _command(stage, path, "--resume", str(done_path(path)), lines=len(keys) // 2)
    second = await _command(stage, path, "--resume", str(done_path(path)))
    seconds = time.monotonic() - begin
    third = await _command(stage, path)
    # What was done between its last line and its death, the first one did not tell.
    there = {each["key"] for each in first + second + third if each["outcome"] != "refused"}
    refused = {each["key"]: each["reason"] for each in second if each["outcome"] == "refused"}
    outcome.tell(records=len(keys) + len(sample.damaged), damaged=len(sample.damaged))
    outcome.tell(imported=len(there), refused=len(refused), seconds=round(seconds, 1))
    _complain_of(outcome, "was not imported", keys - there)
    _complain_of(outcome, "was refused", keys & refused.keys())
    _complain_of(outcome, "is damaged and was not refused", sample.damaged.keys() - refused.keys())
    _complain_of(outcome, "is damaged and was imported", sample.damaged.keys() & there)
    differs = {each["key"] for each in first + second if "reason" in each} - refused.keys()
    _complain_of(outcome, "is not as it was", differs)
    _complain_of(
        outcome,
        "was imported again",
        {each["key"] for each in third if each["outcome"] == "imported"},
    )
    if len(first) >= len(keys):
        outcome.complain(["the import was not interrupted"])


async def _command(
    stage: Stage, path: Path, *options: str, lines: int | None = None
) -> list[dict[str, Any]]:
    """Run the command; return what it told of each record. It is killed after some lines."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND")}
    environ |= {
        "SESSIOND_TOKEN": stage.token(ADMIN, role="admin"),
        "SESSIOND_LIVE": ",".join(stage.cluster.addresses("live")),
        "SESSIOND_STORE": ",".join(stage.cluster.addresses("store")),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sessiond", "import", "--old", str(path), "--json", *options),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    told: list[dict[str, Any]] = []
    try:
        while line := await process.stdout.readline():
            told.append(json.loads(line))
            if lines is not None and len(told) >= lines:
                break
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return told


def done_path(path: Path) -> Path:
    """Return the file in which the command keeps what is done."""
    return path.with_suffix(".done")


def _complain_of(outcome: Outcome, what: str, keys: set[str]) -> None:
    outcome.complain(f"{key} {what}" for key in sorted(keys))


async def go_on(stage: Stage, sample: Sample, outcome: Outcome, chance: random.Random) -> None:
    """Compare what users see with what the old system kept, and let some of them go on."""
    continued = 0
    for user, sessions in sample.sessions.items():
        client = await stage.client(stage.token(user))
        listed = {each.id: each async for each in client.list(page_size=1000)}
        outcome.complain(f"{one} is not in the list of {user}" for one in sessions.keys() - listed)
        outcome.complain(f"{one} is in the list of {user}" for one in listed.keys() - sessions)
        for session_id in sessions.keys() & listed:
            was, seen = sessions[session_id], time_text(listed[session_id].last_active)
            if seen != was["lastActive"]:
                outcome.complain([f"{session_id} was active at {seen}, not {was['lastActive']}"])
        for session_id in chance.sample(sorted(sessions), min(3, len(sessions))):
            token = stage.token(user)
            differs = different(sessions[session_id], await stage.load(token, session_id))
            outcome.complain(f"{session_id}: {name} differs" for name in differs)
            before = listed[session_id].revision
            answer = await client.append(session_id, "And now?")
            if answer.seq != before + 1:
                outcome.complain([f"{session_id} went on at {answer.seq}, not {before + 1}"])
            continued += 1
    outcome.tell(continued=continued)


def different(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that are not as the old system kept them.

    What we add is left aside: seqs, steps of outputs, titles, progress as it is computed. In the
    old system all that users said is the owner's.
    """
    fields = ("id", "userId", "workflowId", "status", "currentAgent", "currentStep", "createdAt")
    differs = [name for name in (*fields, "userInputs") if was[name] != now[name]]
    history = [
        {name: value for name, value in message.items() if name != "seq"}
        for message in now["conversationHistory"]
    ]
    by_owner = {"userId": was["userId"]}
    if history != [
        message | by_owner if message["sender"] == "user" else message
        for message in was["conversationHistory"]
    ]:
        differs.append("conversationHistory")
    outputs = {
        output_id: {name: value for name, value in output.items() if name != "stepId"}
        for output_id, output in now["agentOutputs"].items()
    }
    if outputs != was["agentOutputs"]:
        differs.append("agentOutputs")
    return differs
