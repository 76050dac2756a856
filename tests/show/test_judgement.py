"""The judgement says no: every check fails on a story that breaks it, and on no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessiond.session.access import Actor, Role
from sessiond.session.events import MessageAppended, Record, TurnBegun
from sessiond.session.state import MessageType, Sender
from show.judgement import Evidence, complaints_about, enough, none_failed, reconnected
from show.ledger import Operation, View

ALICE = Actor("alice", Role.USER)


def operation(number: int) -> Operation:
    """The append that is acknowledged as the event `number`."""
    made = Operation(f"op-{number}", "s", planned=float(number))
    made.acknowledge(number, number + 0.1)
    return made


def record(number: int, *, epoch: int = 1, instance: bytes = b"a") -> Record:
    text = Operation(f"op-{number}", "s", planned=0.0).text
    event = MessageAppended(f"m{number}", Sender.USER, MessageType.TEXT, text)
    return Record(
        number, 1000 * number, ALICE, event, op_id=f"op-{number}", epoch=epoch, instance=instance
    )


def view(client: str, seqs: range) -> View:
    made = View(client, "s")
    made.first = seqs.start - 1
    made.log = [(seq, f"op-{seq}") for seq in seqs]
    return made


def story() -> tuple[list[Record], list[Operation], list[View]]:
    """A session of five events in which all is well, and nobody appended the first."""
    records = [record(1)._replace(op_id="created"), *map(record, range(2, 6))]
    records[4] = record(5, epoch=2, instance=b"b")
    return (
        records,
        [operation(number) for number in range(2, 6)],
        [view("early", range(2, 6)), view("late", range(4, 6))],
    )


def told(records: list[Record], operations: list[Operation], views: list[View]) -> list[str]:
    return list(complaints_about(Evidence("s", records, operations, views)))


def test_a_story_in_which_all_is_well_is_not_complained_about() -> None:
    """The checks below start from here."""
    assert told(*story()) == []


Story = tuple[list[Record], list[Operation], list[View]]


def _loses_a_record(records: list[Record], _: list[Operation], views: list[View]) -> None:
    del records[2]


def _stores_twice(records: list[Record], _: list[Operation], views: list[View]) -> None:
    records.append(record(6)._replace(op_id="op-5", epoch=2, instance=b"b"))
    for each in views:
        each.log.append((6, "op-5"))


def _loses_the_newest(records: list[Record], _: list[Operation], views: list[View]) -> None:
    del records[4]
    for each in views:
        del each.log[-1]


def _says_another_seq(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    operations[1].seq = 4


def _stores_another_text(records: list[Record], _: list[Operation], views: list[View]) -> None:
    event = MessageAppended("m3", Sender.USER, MessageType.TEXT, "something else")
    records[2] = records[2]._replace(event=event)


def _stores_another_kind(records: list[Record], _: list[Operation], views: list[View]) -> None:
    records[2] = records[2]._replace(event=TurnBegun("t"))


def _stores_what_it_refused(
    _: list[Record], operations: list[Operation], views: list[View]
) -> None:
    operations[1].acknowledged = None
    operations[1].refuse("RATE_LIMITED")


def _never_answers(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    operations[1].acknowledged = None


def _invents(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    del operations[1]


def _goes_back(records: list[Record], _: list[Operation], views: list[View]) -> None:
    records[3] = records[3]._replace(epoch=3)


def _has_two_owners(records: list[Record], _: list[Operation], views: list[View]) -> None:
    records[3] = records[3]._replace(instance=b"c")


def _shows_a_gap(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    del views[0].log[1]


def _shows_twice(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    views[0].log.insert(1, views[0].log[1])


def _shows_out_of_order(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    log = views[0].log
    log[1], log[2] = log[2], log[1]


def _shows_not_all(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    del views[1].log[-1]


def _shows_another(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    views[1].log[0] = (4, "op-9")


def _resets(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    views[0].resets = 1


def _ends(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    views[0].ended = "SESSION_NOT_FOUND"


def _folds_wrongly(_: list[Record], operations: list[Operation], views: list[View]) -> None:
    views[1].difference = "title"


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        (_loses_a_record, "is not numbered 1..4"),
        (_stores_twice, "op-5 is stored 2 times"),
        (_loses_the_newest, "op-5 was acknowledged, and is not stored"),
        (_says_another_seq, "op-3 was acknowledged as 4, and is stored as 3"),
        (_stores_another_text, "op-3 is stored with another text"),
        (_stores_another_kind, "op-3 is stored with another text"),
        (_stores_what_it_refused, "op-3 was refused as RATE_LIMITED, and is stored"),
        (_never_answers, "op-3 was never answered"),
        (_invents, "op-3 is stored, and nobody asked for it"),
        (_goes_back, "record 5 has epoch 2 after 3"),
        (_has_two_owners, "record 4 has another owner in the same epoch"),
        (_shows_a_gap, "early saw event 4 after 2"),
        (_shows_twice, "early saw event 3 after 3"),
        (_shows_out_of_order, "early saw event 4 after 2"),
        (_shows_not_all, "late saw events up to 4 of 5"),
        (_shows_another, "late saw other events than are stored"),
        (_resets, "early was reset 1 times"),
        (_ends, "early could follow no longer: SESSION_NOT_FOUND"),
        (_folds_wrongly, "late holds another state than a fresh load: title"),
    ],
)
def test_what_is_wrong_is_named(breaks: Callable[..., None], complaint: str) -> None:
    """Each way to break the story has its complaint."""
    broken = story()
    breaks(*broken)
    assert any(complaint in each for each in told(*broken)), told(*broken)


def test_a_refusal_that_leaves_open_what_happened_may_be_stored_or_not() -> None:
    """Unknown is an honest answer, either way."""
    records, operations, views = story()
    operations[1].acknowledged = None
    operations[1].refuse("OUTCOME_UNKNOWN")
    assert told(records, operations, views) == []
    operations.append(Operation("op-9", "s", planned=9.0))
    operations[-1].refuse("OUTCOME_UNKNOWN")
    assert told(records, operations, views) == []


def test_fewer_than_four_of_five_acknowledged_are_not_enough() -> None:
    """A system that answers nothing cannot be wrong, so that is wrong by itself."""
    operations = [operation(number) for number in range(10)]
    assert list(enough(operations)) == []
    for each in operations[:3]:
        each.acknowledged = None
    assert list(enough(operations)) == ["7 of 10 planned operations were acknowledged"]
    assert list(enough([]))


def test_an_error_is_a_failure_even_where_a_repetition_went_well() -> None:
    """Where nobody may notice anything, an error that a client had to bear is told."""
    operations = [operation(number) for number in range(3)]
    assert list(none_failed(operations)) == []
    operations[1].errors = 1
    operations[2].acknowledged = None
    operations[2].refuse("UNAVAILABLE")
    assert list(none_failed(operations)) == [
        "2 operations failed: 1 with an error, then repeated, 1 with UNAVAILABLE"
    ]


def test_an_unanswered_operation_is_a_failure() -> None:
    """As an error is."""
    assert list(none_failed([Operation("op-1", "s", planned=0.0)]))


def test_a_reconnect_is_told() -> None:
    """Where none may be seen."""
    views = [View("one", "s"), View("other", "s")]
    assert list(reconnected(views)) == []
    views[1].reconnects = 2
    assert list(reconnected(views)) == ["browsers connected again 2 times"]
