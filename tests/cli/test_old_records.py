"""Reading what was written out of the old system, from files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from sessiond.cli.failures import CommandFailure
from sessiond.cli.old_records import _json as told_to_programs
from sessiond.cli.old_records import _line as told_to_people
from sessiond.cli.old_records import done_file, taken
from sessiond.errors import IdTaken, SessiondError, Unauthenticated, Unavailable
from sessiond.old.converting import Converted
from sessiond.old.reading import Refused, Value, read, read_lists
from sessiond.old.records import OldRecords
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader, ImportSessionResponse


def lines(path: Path, *values: object) -> Path:
    path.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in values)
    )
    return path


def test_lines_give_their_values_in_order(tmp_path: Path) -> None:
    """A value may be JSON, or a text that holds JSON; empty lines are nothing."""
    path = lines(
        tmp_path / "dump",
        {"key": "session:a", "value": {"id": "a", "n": 12345678901234567890}},
        "",
        {"key": "session:b", "value": '{"id": "b"}'},
        {"key": "user:alice:sessions", "value": '["a", "b"]'},
        {"key": "user:bob:sessions", "value": ["c"]},
    )
    assert list(read(path)) == [
        Value("session:a", {"id": "a", "n": 12345678901234567890}),
        Value("session:b", {"id": "b"}),
        Value("user:alice:sessions", ["a", "b"]),
        Value("user:bob:sessions", ["c"]),
    ]
    assert list(read(path, lambda key: key == "session:b")) == [Value("session:b", {"id": "b"})]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("{", Refused("line 1", "The value is not JSON: line 1, column 2")),
        ("[]", Refused("line 1", "The value must be a JSON object")),
        ('{"key": "a"}', Refused("line 1", 'must be {"key": ..., "value": ...}')),
        ('{"key": 1, "value": 2}', Refused("line 1", 'must be {"key": ..., "value": ...}')),
        ('{"key":"a","value":1,"x":2}', Refused("line 1", 'must be {"key": ..., "value": ...}')),
        ('{"key":"a","key":"b","value":1}', Refused("line 1", "key must be given once")),
        ('{"key":"a","value":"{"}', Refused("a", "The value is not JSON: line 1, column 2")),
        ('{"key":"a","value":"1,\\"b\\":2"}', Refused("a", "is not JSON")),
        ('{"key":"a","value":NaN}', Refused("line 1", "The value is not JSON: it holds NaN")),
        ('{"key":"a","value":"\\ud800"}', Refused("a", "The value must be in UTF-8")),
    ],
)
def test_a_damaged_line_is_refused_and_the_next_is_read(
    tmp_path: Path, line: str, refused: Refused
) -> None:
    """By its number, where it has no key that can be read."""
    path = lines(tmp_path / "dump", line, {"key": "session:b", "value": {}})
    assert list(read(path)) == [refused, Value("session:b", {})]


def test_a_line_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    """As the end of a dump that broke is; bytes that are no text are as well."""
    path = tmp_path / "dump"
    path.write_bytes(b'{"key":"session:a","value":{}}\n\xff\n{"key":"session:b","val')
    assert [each.key for each in read(path)] == ["session:a", "line 2", "line 3"]


def test_a_folder_has_a_file_a_key(tmp_path: Path) -> None:
    """By their names, also in folders of it, and with escaped colons."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "session%3Ab.json").write_text('{"id": "b"}')
    (tmp_path / "session:a.json").write_text('{"id": "a"')
    (tmp_path / "user:al%3Aice:sessions").write_text('["a"]\n')
    (tmp_path / ".hidden").write_text("x")
    assert list(read(tmp_path)) == [
        Value("session:b", {"id": "b"}),
        Refused("session:a", "The value is not JSON: line 1, column 11"),
        Value("user:al:ice:sessions", ["a"]),
    ]


def test_a_file_that_cannot_be_read_is_refused_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad sector is no reason to leave all else behind."""
    (tmp_path / "session:a.json").write_text("{}")
    (tmp_path / "session:b.json").write_text("{}")
    read_bytes = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "session:a.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    assert list(read(tmp_path)) == [
        Refused("session:a", "cannot be read: Input/output error"),
        Value("session:b", {}),
    ]


def test_lists_say_whose_a_session_is(tmp_path: Path) -> None:
    """What else is found beside sessions is told."""
    path = lines(
        tmp_path / "dump",
        {"key": "session:a", "value": {}},
        {"key": "user:alice:sessions", "value": ["a", "b"]},
        {"key": "user:b:o:b:sessions", "value": ["b", 7]},
        {"key": "user:carol:sessions", "value": {"a": 1}},
        {"key": "cache:a", "value": {}},
        "broken",
    )
    lists = read_lists(path)
    assert lists.users == {"a": {"alice"}, "b": {"alice", "b:o:b"}}
    assert lists.sessions == 1
    assert [(each.key, each.why) for each in lists.refused] == [
        ("user:b:o:b:sessions", "holds something beside the ids of sessions"),
        ("user:carol:sessions", "is not a list"),
        ("cache:a", "is neither a session nor a user's list"),
        ("line 6", "The value is not JSON: line 1, column 1"),
    ]


def session(session_id: str, user_id: str = "alice") -> dict[str, object]:
    return {
        "id": session_id,
        "userId": user_id,
        "workflowId": "chat",
        "status": "active",
        "currentAgent": "assistant",
        "currentStep": 0,
        "createdAt": "2025-03-01T10:00:00.000Z",
        "lastActive": "2025-03-01T10:00:00.000Z",
        "userInputs": {},
        "agentOutputs": {},
        "conversationHistory": [],
    }


def test_each_record_is_told_of_once(tmp_path: Path) -> None:
    """What can be imported in its order, and why the rest cannot."""
    path = lines(
        tmp_path / "dump",
        {"key": "session:a", "value": session("a")},
        {"key": "session:b", "value": "{"},
        {"key": "session:c", "value": session("c")},
        {"key": "session:a", "value": session("a")},
        {"key": "session:d", "value": session("d")},
        "broken",
        {"key": "user:alice:sessions", "value": ["a", "b", "c", "lost"]},
    )
    records = OldRecords(path, {})
    assert records.total == 5
    told = {key: found for key, found in records.histories() if isinstance(found, Converted)}
    assert list(told) == ["session:a", "session:c"]
    refused = [found for _, found in records.histories() if isinstance(found, Refused)]
    assert [(each.key, each.why) for each in refused] == [
        ("line 6", "The value is not JSON: line 1, column 1"),
        ("session:b", "The value is not JSON: line 1, column 2"),
        ("session:a", "stands there more than once"),
        ("session:d", "belongs to alice, and stands in the list of nobody"),
        ("session:lost", "stands in the list of alice, and nowhere else"),
    ]
    done = {"session:a", "session:b"}
    left = [key for key, found in records.histories(done) if isinstance(found, Converted)]
    assert left == ["session:c"]


class Store:
    """Stores what it is given, and refuses or breaks as it is told."""

    def __init__(self, **failures: SessiondError) -> None:
        self.failures = failures
        self.stored: dict[str, int] = {}

    def import_session(
        self, header: ImportHeader, events: Iterable[HistoryEvent]
    ) -> ImportSessionResponse:
        if header.session_id in self.failures:
            raise self.failures[header.session_id]
        here = header.session_id in self.stored
        self.stored[header.session_id] = len(list(events))
        return ImportSessionResponse(imported=not here)


def some(tmp_path: Path) -> OldRecords:
    paused = {**session("c"), "status": "paused", "currentStep": 2}
    return OldRecords(
        lines(
            tmp_path / "dump",
            {"key": "session:a", "value": session("a")},
            {"key": "session:b", "value": session("b")},
            {"key": "session:c", "value": paused},
            {"key": "session:d", "value": None},
            {"key": "user:alice:sessions", "value": ["a", "b", "c", "d"]},
        ),
        {},
    )


def test_what_became_of_each_record_is_told(tmp_path: Path) -> None:
    """A refusal is no reason to stop, and what is there is not stored again."""
    store = Store(b=IdTaken())
    with done_file(None) as done:
        results = list(taken(store, some(tmp_path), done))
        again = list(taken(store, some(tmp_path), done))
    assert [(each.key, each.word) for each in results] == [
        ("session:a", "imported"),
        ("session:b", "refused"),
        ("session:c", "imported"),
        ("session:d", "refused"),
    ]
    assert results[1].why.startswith("ID_TAKEN: ")
    assert results[2].why == (
        "the workflow chat is made of its outputs' agents; it was at step 2, and is at 0"
    )
    assert [each.word for each in again] == ["present", "refused", "present", "refused"]


def test_an_import_goes_on_where_it_ended(tmp_path: Path) -> None:
    """What was done is in the file at once, and a line that was cut off is done again."""
    store, path = Store(c=Unavailable()), tmp_path / "done"
    with pytest.raises(Unavailable), done_file(path) as done:
        list(taken(store, some(tmp_path), done))
    assert path.read_text() == '"session:a"\n"session:b"\n'
    path.write_text('"session:a"\n"session:')
    store.failures = {}
    with done_file(path) as done:
        assert done.keys == {"session:a"}
        results = list(taken(store, some(tmp_path), done))
    assert [(each.key, each.word) for each in results] == [
        ("session:b", "present"),
        ("session:c", "imported"),
        ("session:d", "refused"),
    ]
    assert path.read_text() == '"session:a"\n"session:b"\n"session:c"\n'


def test_a_caller_who_is_unknown_ends_the_import(tmp_path: Path) -> None:
    """No record is to blame for that."""
    with pytest.raises(Unauthenticated), done_file(None) as done:
        list(taken(Store(a=Unauthenticated()), some(tmp_path), done))


@pytest.mark.parametrize("text", ["notes", "session:a\n", "[1]\n", "1\n", "{\n", "\n"])
def test_a_file_of_something_else_is_not_written_to(tmp_path: Path, text: str) -> None:
    """It may be dear to somebody."""
    path = tmp_path / "notes"
    path.write_text(text)
    with pytest.raises(CommandFailure, match="is not what --resume"), done_file(path):
        pytest.fail("it was opened")
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["session%3A\udcff", "session%3A\x1b[2J"])
def test_whatever_a_key_holds_can_be_told(tmp_path: Path, name: str) -> None:
    """A file's name that is no UTF-8, and what a terminal would obey."""
    (tmp_path / name).write_text("{}")
    with done_file(None) as done:
        (result,) = taken(Store(), OldRecords(tmp_path, {}), done)
    line = told_to_people(result)
    assert line.startswith("refused   session:\ufffd") and line.isprintable()
    assert json.loads(told_to_programs(result))["key"] == result.key
    assert told_to_programs(result).isascii()
