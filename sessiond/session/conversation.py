"""Which messages of the log make up the conversation: all of them, unless it was rewound."""

from __future__ import annotations

from dataclasses import dataclass

MOST_RUNS = 64
"""Runs that one session may have: they stand in its head, which is at most 4 KiB."""


@dataclass(frozen=True, slots=True)
class Run:
    """Seqs that follow one another, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """Which seqs count: those of the runs, and all after the last rewind.

    `runs` are in order, apart from one another, and end before `rewound_seq`, which is 0 where
    there was no rewind.
    """

    rewound_seq: int = 0
    runs: tuple[Run, ...] = ()

    def holds(self, seq: int) -> bool:
        """Return whether what this event said is part of the conversation."""
        return seq > self.rewound_seq or any(run.first <= seq <= run.last for run in self.runs)

    def until(self, seq: int) -> tuple[Run, ...]:
        """Return all runs up to a seq, that one included, the one after the rewind too."""
        return self.between(1, seq)

    def between(self, first: int, last: int) -> tuple[Run, ...]:
        """Return what of these seqs, both ends included, counts."""
        everything = (*self.runs, Run(self.rewound_seq + 1, last))
        clipped = (Run(max(run.first, first), min(run.last, last)) for run in everything)
        return tuple(run for run in clipped if run.first <= run.last)


WHOLE = Conversation()
"""The conversation of a session that was never rewound."""
