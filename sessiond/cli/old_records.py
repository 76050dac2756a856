"""`sessiond import --old`: what the old system wrote out, session by session."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from sessiond.cli.failures import CommandFailure, told
from sessiond.cli.paint import one_line
from sessiond.errors import CARRIED, SessiondError, Unauthenticated
from sessiond.event_wire import workflow_from_wire
from sessiond.old.converting import Converted
from sessiond.old.records import OldRecords
from sessiond.v1.event_pb2 import Workflow
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader, ImportSessionResponse

_TOLD = 1000
"""Characters of one line of the report: what is wrong may hold what others wrote."""


class Importer(Protocol):
    """Who stores a history: a client."""

    def workflows(self) -> Iterable[Workflow]:
        """Return the workflows of the installation."""

    def import_session(
        self, header: ImportHeader, events: Iterable[HistoryEvent]
    ) -> ImportSessionResponse:
        """Store a session."""


class Told(Protocol):
    """Who shows how far it has come."""

    def __call__(self, done: int, total: int) -> None:
        """Take how many of how many are done."""


class Taking:
    """Takes old records over, and counts what became of them."""

    def __init__(self, client: Importer, report: TextIO) -> None:
        """Take who stores them, and where the report goes, a line for each thing to tell."""
        self._client = client
        self._report = report
        self.imported = self.present = self.refused = 0

    def take(self, path: Path, done: DoneFile | None, shown: Told) -> None:
        """Import every record that can be; tell of each other one why not.

        Raises:
            SessiondError: nobody answers, or the caller is unknown. What was done stays done.
            OSError: the records cannot be read.
        """
        workflows = {each.id: workflow_from_wire(each) for each in self._client.workflows()}
        records = OldRecords(path, workflows)
        before = done.keys if done else frozenset[str]()
        gone = len(before)
        self.present = gone
        shown(gone, records.total)
        for key, found in records.histories(before):
            if isinstance(found, Converted):
                self._import(key, found, done)
                gone += 1
                shown(gone, records.total)
            else:
                self._refuse(key, found.why)

    def _import(self, key: str, found: Converted, done: DoneFile | None) -> None:
        try:
            answer = self._client.import_session(found.header, found.events)
        except SessiondError as failure:
            if CARRIED[type(failure)].retryable or isinstance(failure, Unauthenticated):
                raise  # it says nothing about the record
            self._refuse(key, told(failure))
            return
        if answer.imported:
            self.imported += 1
            for note in found.notes:
                self._tell("changed", key, note)
        else:
            self.present += 1
        if done:
            done.add(key)

    def _refuse(self, key: str, why: str) -> None:
        self.refused += 1
        self._tell("refused", key, why)

    def _tell(self, what: str, key: str, why: str) -> None:
        self._report.write(one_line(f"{what} {key}: {why}", _TOLD) + "\n")


class DoneFile:
    """The keys of the records that were imported, one a line as JSON, in a file that grows.

    Attributes:
        keys: those that stood there at the beginning.
    """

    def __init__(self, file: TextIO) -> None:
        """Take a file that is open for reading and appending; ValueError for one of others."""
        file.seek(0)
        text = file.read()
        whole, end, _ = text.rpartition("\n")
        # The last line of an import that was killed may be half there: its record comes again.
        file.truncate(len((whole + end).encode()))
        keys = list(map(json.loads, whole.split("\n") if whole else ()))
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a line holds no key")
        self.keys = frozenset(keys)
        self._file = file

    def add(self, key: str) -> None:
        """Add a key; it is in the file at once."""
        self._file.write(json.dumps(key) + "\n")
        self._file.flush()


@contextmanager
def done_file(path: Path | None) -> Iterator[DoneFile | None]:
    """Open the file of what is done, and make it if there is none; None for no file.

    Raises:
        CommandFailure: it is something else.
        OSError: it cannot be read or written.
    """
    if path is None:
        yield None
        return
    with path.open("a+", encoding="utf-8") as file:
        try:
            done = DoneFile(file)
        except ValueError:
            wrong = f"{path} is not what --resume of an earlier import wrote"
            raise CommandFailure(wrong) from None
        yield done


def import_old(client: Importer, path: Path, resume: Path | None, shown: Told) -> bool:
    """Take over all records; print what was refused and the sum. Return whether none was.

    Raises:
        CommandFailure: the records, or the file of what is done, cannot be used.
        SessiondError: nobody answers, or the caller is unknown.
    """
    taking = Taking(client, sys.stdout)
    try:
        with done_file(resume) as done:
            taking.take(path, done, shown)
    except OSError as failure:
        raise CommandFailure(f"{failure.filename}: {failure.strerror}") from None
    sys.stdout.write(
        f"{taking.imported} imported, {taking.present} were there, {taking.refused} refused\n"
    )
    return taking.refused == 0
