"""Sessions that go back wrongly, each beside what is almost that."""

from __future__ import annotations

from tests.faults.check import Law
from tests.faults.check_stories import MESSAGES, Story, asked, breaks, reading, recorded
from tests.faults.history import EventKind, Kind, Reset, Shown, Snapshot, digest, place


def rewound(told: Story, to: int, seq: int = 11, at: int = 130) -> None:
    """Let alice go back to an event."""
    content, name = digest(place(to)), f"back-{seq}"
    told.lengthen(recorded(seq, EventKind.REWOUND, content, op_id=name, past=to))
    told.add(asked(Kind.REWIND, name, at, seq=seq, content=content))


def decided(told: Story, seq: int, at: int) -> None:
    """Let alice approve the output."""
    content, name = digest("approved"), f"op-{seq}"
    told.lengthen(recorded(seq, EventKind.DECIDED, content, "o"))
    told.add(asked(Kind.DECIDE, name, at, seq=seq, content=content, about="o"))


@breaks(Law.READ_TORN)
def a_read_holds_what_was_left_behind(told: Story, broken: bool) -> None:
    rewound(told, 3)
    messages = MESSAGES if broken else MESSAGES[:2]
    told.add(asked(Kind.GET, "", 140, seq=11, messages=messages))


@breaks(Law.READ_TORN)
def what_was_left_behind_does_not_come_back(told: Story, broken: bool) -> None:
    rewound(told, 3)
    rewound(told, 10, 12, 140)
    messages = MESSAGES[:2] if broken else MESSAGES
    told.add(asked(Kind.GET, "", 150, seq=12, messages=messages))


@breaks(Law.READ_TORN)
def pages_hold_what_no_revision_held(told: Story, broken: bool) -> None:
    rewound(told, 2)
    messages = (MESSAGES[0], MESSAGES[2]) if broken else MESSAGES[:1]
    told.add(asked(Kind.PAGES, "", 140, messages=messages))


@breaks(Law.DECIDED_TWICE)
def an_output_is_decided_again_that_is_still_decided(told: Story, broken: bool) -> None:
    rewound(told, 5 if broken else 4)
    decided(told, 12, 140)


@breaks(Law.TURN_ORDER)
def a_session_goes_back_during_a_turn(told: Story, broken: bool) -> None:
    begins = 11 if broken else 12
    if not broken:
        rewound(told, 3)
    told.lengthen(recorded(begins, EventKind.BEGUN, "", "u", op_id="begin"))
    told.add(asked(Kind.BEGIN, "begin", 140, seq=begins))
    if broken:
        rewound(told, 3, 12, 150)


@breaks(Law.UNCHANGED_WRONGLY)
def a_rewind_is_called_needless(told: Story, broken: bool) -> None:
    content = digest(place(3 if broken else 10))
    told.add(asked(Kind.REWIND, "back", 130, seq=10, content=content))


@breaks(Law.UNCHANGED_WRONGLY)
def a_rewind_to_where_others_led_is_called_needless(told: Story, broken: bool) -> None:
    rewound(told, 5)
    rewound(told, 11, 12, 140)
    content = digest(place(4 if broken else 5))
    told.add(asked(Kind.REWIND, "again", 150, seq=12, content=content))


@breaks(Law.UNCHANGED_WRONGLY)
def a_pause_is_called_needless_that_was_left_behind(told: Story, broken: bool) -> None:
    rewound(told, 3 if broken else 6)
    told.add(asked(Kind.PAUSE, "pause", 140, seq=11))


@breaks(Law.REWIND_UNTOLD)
def a_stream_goes_on_without_a_snapshot(told: Story, broken: bool) -> None:
    rewound(told, 3)
    told.add(Shown("a", 2, "s", 135, 11, "back-11", EventKind.REWOUND, digest(place(3))))
    if not broken:
        told.add(Reset("a", 2, "s", 136, "REWOUND"))
        told.add(Snapshot("a", 2, "s", 137, "l", 11, MESSAGES[:2], 50))
    told.lengthen(recorded(12, EventKind.MESSAGE, digest("twelve")))
    told.add(asked(Kind.APPEND, "op-12", 140, seq=12, content=digest("twelve")))
    told.add(Shown("a", 2, "s", 144, 12, "op-12", EventKind.MESSAGE, digest("twelve")))


@breaks(Law.STATE_DIFFERS)
def a_session_is_loaded_otherwise_than_its_log_makes_it(told: Story, broken: bool) -> None:
    told.states[10] = digest("ten")
    told.change(reading(Kind.GET), state=(10, digest("nine" if broken else "ten")))
