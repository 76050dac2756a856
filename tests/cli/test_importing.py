"""`sessiond fork` and `sessiond import`, before real parts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from sessiond.cli.importing import _json as told_to_programs
from sessiond.cli.importing import _line as told_to_people
from sessiond.cli.importing import import_one
from sessiond.cli.progress_bar import ProgressBar
from sessiond.errors import IdTaken, SessiondError, Unauthenticated, Unavailable
from sessiond.export.format import JsonWriter
from sessiond.v1.session_pb2 import SESSION_STATUS_ACTIVE, SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader, ImportSessionResponse
from tests.cli.running import Command


@pytest.fixture
async def made(sessiond: Command, name: Callable[[str], str]) -> str:
    """A session with two messages."""
    chosen = name("plan")
    arguments = ("--id", chosen, "--title", "Launch", "--workflow", "chat", "--no-demo")
    await sessiond.good("sessions", "new", *arguments)
    for content in ("first", "second"):
        request = json.dumps({"sessionId": chosen, "content": content})
        await sessiond.good("call", "AppendMessage", request)
    return chosen


async def exported(sessiond: Command, session_id: str, file: Path, new_id: str) -> Path:
    """Export a session into a file, as if it were another one: nobody would have its id."""
    await sessiond.good("export", session_id, "-o", str(file))
    return renamed(file, session_id, new_id)


def renamed(file: Path, session_id: str, new_id: str) -> Path:
    file.write_text(file.read_text().replace(f'"{session_id}"', f'"{new_id}"'))
    return file


async def test_a_fork_prints_its_id(
    sessiond: Command, made: str, name: Callable[[str], str]
) -> None:
    """All events by default, or so many; with --json the session."""
    (forked,) = await sessiond.good("fork", made)
    shown = "\n".join(await sessiond.good("sessions", "show", forked))
    assert "first" in shown and "second" in shown
    arguments = ("--at", "2", "--id", name("early"), "--json")
    (line,) = await sessiond.good("fork", made, *arguments)
    early = json.loads(line)
    assert (early["id"], early["revision"]) == (name("early"), 3)
    assert early["lineage"] == {"sessionId": made, "seq": 2}
    done = await sessiond("fork", made, "--at", "99")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("INVALID_ARGUMENT: at_seq must be 1 to 3")


async def test_an_export_is_imported_once(
    sessiond: Command, made: str, name: Callable[[str], str], tmp_path: Path
) -> None:
    """Then it is there: to import it again is safe, and its own export is the same to the byte."""
    file = await exported(sessiond, made, tmp_path / "plan.json", name("copy"))
    assert await sessiond.good("import", str(file)) == [f"imported  {name('copy')}"]
    assert await sessiond.good("import", str(file)) == [f"present   {name('copy')}"]
    again = tmp_path / "again.json"
    await sessiond.good("export", name("copy"), "-o", str(again))
    assert again.read_bytes() == file.read_bytes()
    (piped,) = await sessiond.good("import", "-", "--json", typed=file.read_text())
    assert json.loads(piped) == {"source": "-", "sessionId": name("copy"), "outcome": "present"}


async def test_of_a_folder_each_export_is_told(
    sessiond: Command, made: str, name: Callable[[str], str], tmp_path: Path
) -> None:
    """Those that are refused are named with their reason, the others are imported all the same."""
    await exported(sessiond, made, tmp_path / "a.json", name("one"))
    damaged = await exported(sessiond, made, tmp_path / "b.json", name("two"))
    damaged.write_text(damaged.read_text().replace('"second"', '""'))
    cut = await exported(sessiond, made, tmp_path / "c.json", name("three"))
    cut.write_bytes(cut.read_bytes()[:-40])
    other = await exported(sessiond, made, tmp_path / "d.json", name("one"))
    other.write_text(other.read_text().replace('"first"', '"FIRST"'))
    (tmp_path / "e.txt").write_text("none of ours")
    done = await sessiond("import", str(tmp_path))
    assert done.code == 1
    assert done.err == "3 of 4 exports were refused\n"
    first, second, third, fourth = done.lines
    assert first == f"imported  {name('one')}"
    assert second.startswith(f"refused   {name('two')}  (")
    assert "INVALID_ARGUMENT: events.3.content must not be empty" in second
    assert "INVALID_ARGUMENT" in third and "c.json" in third
    assert "ID_TAKEN" in fourth and "d.json" in fourth


async def test_what_is_not_there_is_told(sessiond: Command, tmp_path: Path) -> None:
    """A file, and a folder without exports."""
    done = await sessiond("import", str(tmp_path / "none.json"))
    assert (done.code, "No such file" in done.out) == (1, True)
    done = await sessiond("import", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert "there is no .json or .ndjson file in it" in done.err


BAR = ProgressBar(io.StringIO(), 0)


class _Store:
    """Fails at every import."""

    def __init__(self, failure: SessiondError) -> None:
        self._failure = failure

    def import_session(
        self, header: ImportHeader, events: Iterable[HistoryEvent]
    ) -> ImportSessionResponse:
        for _ in events:
            pass
        raise self._failure


def emptied(path: Path, session_id: str) -> str:
    """Write an export of a session that has no event yet, whatever its id; return the path."""
    writer = JsonWriter()
    session = SessionSummary(id=session_id, user_id="alice", status=SESSION_STATUS_ACTIVE)
    session.created_at.seconds = session.last_active.seconds = 1
    path.write_bytes(writer.begin(session) + writer.end())
    return str(path)


@pytest.mark.parametrize("failure", [Unavailable(), Unauthenticated()])
def test_where_nobody_takes_imports_the_first_one_ends_it(
    tmp_path: Path, failure: SessiondError
) -> None:
    """It is no matter of the export, and each further one would wait as long."""
    source = emptied(tmp_path / "plan.json", "plan")
    with pytest.raises(type(failure)):
        import_one(_Store(failure), source, BAR)
    assert import_one(_Store(IdTaken()), source, BAR).refused.startswith("ID_TAKEN: ")


def test_an_export_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Neither by the id that it says it has, nor by the names of its fields or its own."""
    file = tmp_path / "\x1b[2J\udcff.json"
    results = [import_one(_Store(IdTaken()), emptied(file, "\x1b[2J\x9b2J\nimported  all"), BAR)]
    file.write_text(file.read_text().replace('"version"', '"\\u001b[2J":1,"version"'))
    results.append(import_one(_Store(IdTaken()), str(file), BAR))
    for result in results:
        assert result.word == "refused"
        assert told_to_people(result).isprintable()
        assert told_to_programs(result).isascii()
    assert "[2J is not a field of an export" in told_to_people(results[1])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_how_much_was_read_and_leaves_the_line_empty() -> None:
    """On a terminal; elsewhere it says nothing."""
    for file in (_Terminal(), io.StringIO()):
        with ProgressBar(file, 200) as bar:
            read = bar.through(io.BytesIO(b"x" * 200))
            assert read.read(100) == b"x" * 100
            assert ("50 %" in file.getvalue()) == file.isatty()
            read.read()
        assert file.getvalue().endswith("\r\x1b[K") == file.isatty()
        assert ("100 %" in file.getvalue()) == file.isatty()
