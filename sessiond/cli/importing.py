"""`sessiond import`: sessions that were exported, here or on another installation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure, is_general, told
from sessiond.cli.old_records import Importer, import_old
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import plain
from sessiond.cli.progress_bar import ProgressBar
from sessiond.errors import InvalidArgument, SessiondError
from sessiond.export.format import read_export
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader

SUFFIXES: Final = (".json", ".ndjson")
STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one export; `refused` says why where it was not taken."""

    source: str
    session_id: str = ""
    imported: bool = False
    refused: str = ""

    @property
    def word(self) -> str:
        """The outcome as one word."""
        if self.refused:
            return "refused"
        return "imported" if self.imported else "present"


@connected
def import_sessions(
    connection: Connection,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|DIR|-...", help="Exports, or folders of them; - is stdin."),
    ],
    *,
    old: Annotated[
        bool,
        typer.Option("--old", help="Records of the system before this one: NDJSON, or a folder."),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="With --old: keeps what is done, to pass it over.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import exported sessions: JSON or NDJSON, as `sessiond export` writes them.

    Each keeps its id, its events and its times. To import one twice does nothing, and an import
    that broke is gone on with by the same command. A line tells of each export; the exit code is 1
    where one was refused. You import your own sessions, and an administrator anybody's.

    With --old, each session that the old system kept becomes the history that it tells.
    """
    if old:
        for source in sources:
            import_old(connection, Path(source), resume, as_json=as_json)
        return
    if resume is not None:
        raise CommandFailure("--resume belongs to --old; an import goes on by itself")
    exports = list(_exports(sources))
    bar = ProgressBar(sys.stderr, sum(map(_size, exports)))
    refused = 0
    with connection.sync_client() as client, bar:
        for source in exports:
            result = import_one(client, source, bar)
            refused += bool(result.refused)
            bar.clear()
            sys.stdout.write((_json(result) if as_json else _line(result)) + "\n")
    if refused:
        raise CommandFailure(f"{refused} of {len(exports)} exports were refused")


def import_one(client: Importer, source: str, bar: ProgressBar) -> Result:
    """Import one export; what is wrong with it is in the result.

    Raises:
        SessiondError: nobody answers, or the caller is unknown.
    """
    session_id = ""
    try:
        with _opened(source, bar) as file:
            read = read_export(file)
            session = next(read, None)
            if not isinstance(session, SessionSummary):
                raise InvalidArgument(detail="The export is empty.")
            session_id = session.id
            header = ImportHeader(session_id=session.id, last_seq=session.revision)
            events = (event for event in read if isinstance(event, HistoryEvent))
            response = client.import_session(header, events)
    except OSError as failure:
        return Result(source, session_id, refused=failure.strerror or str(failure))
    except SessiondError as failure:
        if is_general(failure):
            raise
        return Result(source, session_id, refused=told(failure))
    return Result(source, session_id, imported=response.imported)


def _exports(sources: list[str]) -> Iterator[str]:
    for source in sources:
        path = Path(source)
        if source != STDIN and path.is_dir():
            found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            if not found:
                raise CommandFailure(f"{source}: there is no {' or '.join(SUFFIXES)} file in it")
            yield from map(str, found)
        else:
            yield source


def _size(source: str) -> int:
    try:
        return 0 if source == STDIN else Path(source).stat().st_size
    except OSError:
        return 0  # it is told when its turn comes


@contextmanager
def _opened(source: str, bar: ProgressBar) -> Iterator[BinaryIO]:
    if source == STDIN:
        yield bar.through(sys.stdin.buffer)
        return
    with Path(source).open("rb") as file:
        yield bar.through(file)


def _line(result: Result) -> str:
    about = result.session_id or result.source
    line = f"{result.word:<8}  {about}"
    if result.refused:
        line += f"  ({result.source}): {result.refused}"
    # The id is what the file says, and perhaps none.
    return " ".join(plain(line).splitlines())


def _json(result: Result) -> str:
    told_of = {
        "source": result.source,
        "sessionId": result.session_id,
        "outcome": result.word,
        **({"reason": result.refused} if result.refused else {}),
    }
    return json.dumps(told_of)  # names of files may hold what is no UTF-8
