"""Which sessions a fault moved, by the epochs that are stored, and how long that took."""

from __future__ import annotations

from sessiond.session.events import Record
from show.judgement import Evidence
from show.ledger import Operation
from show.takeovers import Fault, Takeover, takeovers, unrecovered, without_effect
from tests.show.test_judgement import record

# At 3.5 s, between the records 3 and 4.
FAULT = Fault("live-1", b"a", at=3.5, at_ms=3500)


def records(*owners: tuple[int, bytes]) -> list[Record]:
    """A log whose records, one a second, have these epochs and owners."""
    return [
        record(number, epoch=epoch, instance=instance)
        for number, (epoch, instance) in enumerate(owners, start=1)
    ]


def operations(*answered: tuple[float, float | None]) -> list[Operation]:
    """Appends planned and acknowledged so; the first one became event 2."""
    made = []
    for seq, (planned, acknowledged) in enumerate(answered, start=2):
        operation = Operation(f"op-{seq}", "s", planned=planned)
        if acknowledged is not None:
            operation.acknowledge(seq, acknowledged)
        made.append(operation)
    return made


def found(log: list[Record], asked: list[Operation] | None = None) -> list[Takeover]:
    return takeovers(FAULT, [Evidence("s", log, asked or [], [])])


def test_a_session_moved_where_another_owner_wrote_after_the_fault() -> None:
    """The time runs to the new owner's first acknowledgement, the wait from the planned moment."""
    log = records((0, b""), (1, b"a"), (1, b"a"), (2, b"b"), (2, b"b"))
    asked = operations((2.0, 2.1), (3.0, 3.1), (3.4, 4.4), (4.3, 4.5))
    (takeover,) = found(log, asked)
    assert takeover.until_acknowledged is not None
    assert abs(takeover.until_acknowledged - 0.9) < 1e-9
    assert takeover.longest_wait is not None
    assert abs(takeover.longest_wait - 1.0) < 1e-9


def test_an_operation_that_was_answered_before_the_fault_waited_for_something_else() -> None:
    """However long that was."""
    log = records((0, b""), (1, b"a"), (1, b"a"), (2, b"b"))
    (takeover,) = found(log, operations((0.0, 3.4), (3.4, 3.6), (3.6, 4.0)))
    assert takeover.longest_wait is not None
    assert abs(takeover.longest_wait - 0.4) < 1e-9


def test_a_session_that_stayed_was_not_moved() -> None:
    """With the owner that failed, before and after: it is not counted."""
    assert not found(records((0, b""), (1, b"a"), (1, b"a"), (1, b"a"), (1, b"a")))


def test_a_session_of_another_owner_was_not_moved() -> None:
    """Though its owner changed too."""
    assert not found(records((0, b""), (1, b"b"), (1, b"b"), (2, b"c"), (2, b"c")))


def test_a_session_that_moved_before_the_fault_was_not_moved_by_it() -> None:
    """It was rebalanced, say."""
    assert not found(records((0, b""), (1, b"a"), (2, b"b"), (2, b"b"), (2, b"b")))


def test_a_fault_without_a_takeover_is_wrong() -> None:
    """It proved nothing; so does a show without any fault."""
    log = records((0, b""), (1, b"a"), (1, b"a"), (2, b"b"))
    other = Fault("live-2", b"x", at=3.5, at_ms=3500)
    assert list(without_effect([FAULT], found(log))) == []
    assert list(without_effect([FAULT, other], found(log))) == [
        "fault 2, of live-2, caused no takeover"
    ]
    assert list(without_effect([], [])) == ["no fault happened"]


def test_a_session_that_was_taken_over_and_acknowledged_nothing_is_wrong() -> None:
    """The new owner has to serve."""
    log = records((0, b""), (1, b"a"), (1, b"a"), (2, b"b"))
    served = found(log, operations((2.0, 2.1), (3.0, 3.1), (3.4, 4.4)))
    silent = found(log, operations((2.0, 2.1), (3.0, 3.1), (3.4, None)))
    assert list(unrecovered(served)) == []
    assert list(unrecovered(silent)) == [
        "session s: nothing was acknowledged after live-1 had failed"
    ]
