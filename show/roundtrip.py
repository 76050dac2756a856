"""`make show-roundtrip`: what is exported is what is imported, and the old system is taken over.

Sessions with everything in them are exported, imported into an empty installation, and exported
there: the two exports are compared byte for byte. Then old records, some of them damaged, are
imported there by the command, interrupted once, and again: each good one must be there as it was,
each damaged one be told of, and all can be gone on with.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from sessiond import Client
from sessiond.errors import FontMissing, FormatUnavailable
from sessiond.export.format import read_export
from sessiond.export.rendering import Format, chunks
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader
from show.old_import import done_path, go_on, take_over
from show.old_records import write
from show.outcome import Outcome
from show.pages import write_pages
from show.stage import DATA, Stage, staged
from show.stories import Told, tell

SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many messages the long session has, and how many old records there are, of whom."""

    messages: int = 1000
    records: int = 1000
    users: int = 20


USUAL = Size()


async def run(
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
    size: Size = USUAL,
) -> None:
    """Run it, and fill the outcome. It takes as long as it takes, whatever `seconds` say."""
    chance = random.Random(outcome.seed)
    async with staged(outcome, binary, told=told, data=data) as stage:
        told("sessions with everything in them, and their exports")
        sessions = await tell(stage, messages=size.messages, chance=chance)
        exports = {each.session_id: await _exported(stage, each) for each in sessions}
        await _readable(stage, sessions, outcome, data)
    async with staged(outcome, binary, told=told, data=data) as stage:
        told("the exports, imported where nothing is")
        await _compare(stage, sessions, exports, outcome)
        path = data / f"old-records-{os.getpid()}.ndjson"
        try:
            sample = write(path, count=size.records, users=size.users, chance=chance)
            told(f"{size.records} old records, {len(sample.damaged)} of them damaged")
            await take_over(stage, path, sample, outcome)
        finally:
            path.unlink(missing_ok=True)
            done_path(path).unlink(missing_ok=True)
        told("the same, listed, loaded and gone on with")
        await go_on(stage, sample, outcome, chance)


async def _exported(stage: Stage, told: Told) -> bytes:
    client = await stage.client(stage.token(told.user))
    return await _export(client, told.session_id, Format.JSON)


async def _export(client: Client, session_id: str, form: Format) -> bytes:
    async with aclosing(chunks(client.history(session_id), form)) as pieces:
        return b"".join([piece async for piece in pieces])


async def _readable(stage: Stage, sessions: list[Told], outcome: Outcome, data: Path) -> None:
    """Export for people, too; the PDF and pictures of its pages stay, to be looked at."""
    user, session_id = sessions[1]
    client = await stage.client(stage.token(user))
    text = (await _export(client, session_id, Format.MARKDOWN)).decode()
    if not text.startswith("---\n") or "Launch in the EU" not in text:
        outcome.complain(["the Markdown has no front matter, or no title"])
    try:
        pdf = await _export(client, session_id, Format.PDF)
    except (FormatUnavailable, FontMissing) as failure:
        outcome.complain([f"there is no PDF: {failure.detail}"])
        return
    where = data / "roundtrip.pdf"
    where.write_bytes(pdf)
    pages, wrong = write_pages(pdf, where)
    outcome.complain(wrong)
    outcome.tell(pdf=str(where), pages=pages)


async def _compare(
    stage: Stage,
    sessions: list[Told],
    exports: Mapping[str, bytes],
    outcome: Outcome,
) -> None:
    same = 0
    for user, session_id in sessions:
        client = await stage.client(stage.token(user))
        document = exports[session_id]
        for imported in (True, False):  # the second time it is there
            answer = await _imported(client, document)
            if answer is not imported:
                outcome.complain([f"{session_id}: imported is {answer}, not {imported}"])
        again = await _export(client, session_id, Format.JSON)
        if again == document:
            same += 1
        else:
            outcome.complain([f"{session_id}: exported again it is {len(again)} other bytes"])
    outcome.tell(exports=len(sessions), same=same, bytes=sum(map(len, exports.values())))


async def _imported(client: Client, document: bytes) -> bool:
    session, *events = read_export(io.BytesIO(document))
    assert isinstance(session, SessionSummary)
    header = ImportHeader(session_id=session.id, last_seq=session.revision)
    answer = await client.import_session(
        header, [event for event in events if isinstance(event, HistoryEvent)]
    )
    return answer.imported
