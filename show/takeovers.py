"""Which sessions a fault took from their owner, and how long each of them was without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sessiond.session.events import Record
from show.judgement import Evidence


@dataclass(frozen=True, slots=True)
class Fault:
    """Something done to a Live on purpose.

    Attributes:
        part: to which.
        instance: which instance it was then.
        at: when, by the clock of the event loop, in seconds.
        at_ms: the same in milliseconds since 1970, as records count time.
    """

    part: str
    instance: bytes
    at: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """One session that went from a faulty owner to another one.

    Attributes:
        until_acknowledged: seconds from the fault to the first acknowledgement by the new owner;
            None when none came.
        longest_wait: seconds that the slowest operation waited, from its planned moment, of those
            that were due or under way between the fault and that acknowledgement; None when the new
            owner acknowledged none.
    """

    session_id: str
    fault: Fault
    until_acknowledged: float | None
    longest_wait: float | None


def takeovers(fault: Fault, evidence: Sequence[Evidence]) -> list[Takeover]:
    """Return what the stored epochs say that a fault caused, a session at most once."""
    return [
        _takeover(fault, each, seq)
        for each in evidence
        if (seq := _first_elsewhere(fault, each.records))
    ]


def without_effect(faults: Sequence[Fault], found: Sequence[Takeover]) -> Iterator[str]:
    """Yield a complaint for each fault that took no session from its owner."""
    effective = {id(takeover.fault) for takeover in found}
    if not faults:
        yield "no fault happened"
    for number, fault in enumerate(faults, start=1):
        if id(fault) not in effective:
            yield f"fault {number}, of {fault.part}, caused no takeover"


def unrecovered(found: Sequence[Takeover]) -> Iterator[str]:
    """Yield a complaint for each session whose new owner acknowledged nothing."""
    for takeover in found:
        if takeover.until_acknowledged is None:
            yield (
                f"session {takeover.session_id}: nothing was acknowledged after "
                f"{takeover.fault.part} had failed"
            )


def _first_elsewhere(fault: Fault, records: Sequence[Record]) -> int:
    """Return the seq of the first record by the next owner; 0 where the fault moved nothing."""
    for before, after in zip(reversed(records[:-1]), reversed(records[1:]), strict=True):
        if before.instance == fault.instance:
            # What moved before the fault moved for another reason.
            if after.epoch > before.epoch and after.time_ms >= fault.at_ms:
                return after.seq
            return 0
    return 0


def _takeover(fault: Fault, evidence: Evidence, seq: int) -> Takeover:
    acknowledged = [each for each in evidence.operations if each.acknowledged is not None]
    first = min(
        (each.acknowledged or 0.0 for each in acknowledged if each.seq >= seq), default=None
    )
    if first is None:
        return Takeover(evidence.session_id, fault, None, None)
    waits = [
        each.latency
        for each in acknowledged
        if each.planned <= first and (each.acknowledged or 0.0) >= fault.at
    ]
    return Takeover(evidence.session_id, fault, first - fault.at, max(waits, default=None))
