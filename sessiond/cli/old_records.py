"""`sessiond import --old`: what the old system wrote out, session by session."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure, is_general, told
from sessiond.cli.paint import plain
from sessiond.cli.progress_bar import ProgressBar
from sessiond.errors import SessiondError
from sessiond.event_wire import workflow_from_wire
from sessiond.old.converting import Converted
from sessiond.old.records import OldRecords
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader, ImportSessionResponse


class Importer(Protocol):
    """Who stores a history: a client."""

    def import_session(
        self, header: ImportHeader, events: Iterable[HistoryEvent]
    ) -> ImportSessionResponse:
        """Store a session."""


class Result(NamedTuple):
    """What became of one record: imported, present or refused; and what is to say about it."""

    key: str
    word: str
    why: str = ""


def import_old(connection: Connection, path: Path, resume: Path | None, *, as_json: bool) -> None:
    """Import all records that can be, and print a line for each that there is.

    Raises:
        CommandFailure: some were refused, or the records or the file of what is done cannot be
            used.
        SessiondError: nobody answers, or the caller is unknown. What was done stays done.
    """
    refused = 0
    try:
        with done_file(resume) as done, connection.sync_client() as client:
            workflows = {each.id: workflow_from_wire(each) for each in client.workflows()}
            records = OldRecords(path, workflows)
            bar = ProgressBar(sys.stderr, records.total)
            with bar:
                bar.add(len(done.keys))
                for result in taken(client, records, done):
                    refused += result.word == "refused"
                    bar.add(1)
                    bar.clear()
                    sys.stdout.write((_json(result) if as_json else _line(result)) + "\n")
    except OSError as failure:
        raise CommandFailure(f"{failure.filename}: {failure.strerror}") from None
    if refused:
        raise CommandFailure(f"{refused} records were refused")


def taken(client: Importer, records: OldRecords, done: DoneFile) -> Iterator[Result]:
    """Import each record that is not done, and yield what became of it.

    Raises:
        SessiondError: nobody answers, or the caller is unknown. What was done stays done.
        OSError: the records cannot be read.
    """
    for key, found in records.histories(done.keys):
        if not isinstance(found, Converted):
            yield Result(key, "refused", found.why)
            continue
        try:
            answer = client.import_session(found.header, found.events)
        except SessiondError as failure:
            if is_general(failure):
                raise
            yield Result(key, "refused", told(failure))
            continue
        done.add(key)
        if answer.imported:
            yield Result(key, "imported", "; ".join(found.notes))
        else:
            yield Result(key, "present")


class DoneFile:
    """The keys of the records that are there, one a line as JSON, in a file that grows.

    Attributes:
        keys: those that stood there at the beginning.
    """

    def __init__(self, file: TextIO | None) -> None:
        """Take a file that is open for reading and appending; None keeps nothing.

        Raises:
            ValueError: it holds something else.
        """
        self._file = file
        self.keys: frozenset[str] = frozenset()
        if file is None:
            return
        file.seek(0)
        whole, end, rest = file.read().rpartition("\n")
        keys = list(map(json.loads, whole.split("\n") if end else ()))
        if rest[:1] not in ("", '"') or not all(isinstance(key, str) for key in keys):
            raise ValueError("a line holds no key")
        # The last line of an import that was killed may be half there: its record comes again.
        file.truncate(len((whole + end).encode()))
        self.keys = frozenset(keys)

    def add(self, key: str) -> None:
        """Add a key; it is in the file at once."""
        if self._file is not None:
            self._file.write(json.dumps(key) + "\n")
            self._file.flush()


@contextmanager
def done_file(path: Path | None) -> Iterator[DoneFile]:
    """Open the file of what is done, and make it if there is none; None for no file.

    Raises:
        CommandFailure: it is something else.
        OSError: it cannot be read or written.
    """
    if path is None:
        yield DoneFile(None)
        return
    with path.open("a+", encoding="utf-8") as file:
        try:
            done = DoneFile(file)
        except ValueError:
            wrong = f"{path} is not what --resume of an earlier import wrote"
            raise CommandFailure(wrong) from None
        yield done


def _line(result: Result) -> str:
    line = f"{result.word:<8}  {result.key}" + (f": {result.why}" if result.why else "")
    # Keys and reasons hold what others wrote.
    return " ".join(plain(line).splitlines())


def _json(result: Result) -> str:
    reason = {"reason": result.why} if result.why else {}
    told_of = {"key": result.key, "outcome": result.word, **reason}
    return json.dumps(told_of)  # keys may hold what is no UTF-8
