"""Single harms done to a legal round, each only where the round is illegal for certain after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random

from tests.faults.final import Final, StoredEntry, StoredRecord, StoredSession
from tests.faults.history import Entry, Kind, Operation, Outcome, Shown, Snapshot, Token

Round = tuple[Sequence[Entry], Final]
Places = Iterator[Callable[[], Round]]
Harm = Callable[[Sequence[Entry], Final], Places]
"""Gives every place where it can be done, as what does it there."""


def harmed(harm: Harm, round_: Round, chance: Random) -> Round | None:
    """Do the harm in one place; None where there is no place for it."""
    places = list(harm(*round_))
    return chance.choice(places)() if places else None


def _told(entries: Sequence[Entry], final: Final, place: int, *instead: Entry) -> Round:
    return [*entries[:place], *instead, *entries[place + 1 :]], final


def _listed(entries: Sequence[Entry], final: Final, index: Sequence[StoredEntry]) -> Round:
    return entries, replace(final, entries=index)


def _stored(
    entries: Sequence[Entry], final: Final, session: str, records: Sequence[StoredRecord]
) -> Round:
    """Store these records instead, renumbered, with all that depends on their number."""
    dense = [replace(record, seq=seq) for seq, record in enumerate(records, start=1)]
    head = replace(final.sessions[session].head, seq=len(dense))
    index = [
        replace(each, revision=len(dense)) if each.session == session else each
        for each in final.entries
    ]
    sessions: Mapping[str, StoredSession] = {
        **final.sessions,
        session: StoredSession(head, dense),
    }
    return entries, replace(final, sessions=sessions, entries=index)


def _granted(entries: Sequence[Entry], final: Final) -> Iterator[tuple[int, Operation, int]]:
    """Yield each append that was granted and is stored: its place, itself, its record's place."""
    for place, entry in enumerate(entries):
        if not isinstance(entry, Operation) or entry.session not in final.sessions:
            continue
        if entry.kind is Kind.APPEND and entry.outcome is Outcome.OK:
            yield place, entry, entry.seq - 1


def a_record_is_dropped(entries: Sequence[Entry], final: Final) -> Places:
    for _, done, at in _granted(entries, final):
        records = final.sessions[done.session].records
        kept = [*records[:at], *records[at + 1 :]]
        yield partial(_stored, entries, final, done.session, kept)


def two_records_are_swapped(entries: Sequence[Entry], final: Final) -> Places:
    for _, done, at in _granted(entries, final):
        records = list(final.sessions[done.session].records)
        if at > 1:
            records[at - 1], records[at] = records[at], records[at - 1]
            yield partial(_stored, entries, final, done.session, records)


def a_record_is_stored_again(entries: Sequence[Entry], final: Final) -> Places:
    for _, done, at in _granted(entries, final):
        records = final.sessions[done.session].records
        kept = [*records, replace(records[at], epoch=records[-1].epoch)]
        yield partial(_stored, entries, final, done.session, kept)


def a_content_is_changed(entries: Sequence[Entry], final: Final) -> Places:
    for _, done, at in _granted(entries, final):
        records = list(final.sessions[done.session].records)
        records[at] = replace(records[at], content="other")
        yield partial(_stored, entries, final, done.session, records)


def an_epoch_falls(entries: Sequence[Entry], final: Final) -> Places:
    for session, stored in final.sessions.items():
        if len(stored.records) > 1:
            records = [*stored.records[:-1], replace(stored.records[-1], epoch=-1)]
            yield partial(_stored, entries, final, session, records)


def an_answer_names_another_seq(entries: Sequence[Entry], final: Final) -> Places:
    for place, done, _ in _granted(entries, final):
        wrong = replace(done, seq=done.seq + 1)
        yield partial(_told, entries, final, place, wrong)


def a_granted_change_is_told_as_refused(entries: Sequence[Entry], final: Final) -> Places:
    for place, done, _ in _granted(entries, final):
        wrong = replace(done, outcome=Outcome.FAIL, seq=0)
        yield partial(_told, entries, final, place, wrong)


def an_event_is_left_out(entries: Sequence[Entry], final: Final) -> Places:
    # What was never followed by another event or by a word that all was shown may be missing.
    newest: dict[tuple[str, int], int] = {}
    for entry in entries:
        if isinstance(entry, Shown):
            newest[entry.client, entry.stream] = entry.seq
    for place, entry in enumerate(entries):
        if isinstance(entry, Shown) and entry.seq < newest[entry.client, entry.stream]:
            yield partial(_told, entries, final, place)


def an_event_is_shown_again(entries: Sequence[Entry], final: Final) -> Places:
    for place, entry in enumerate(entries):
        if isinstance(entry, Shown):
            yield partial(_told, entries, final, place, entry, entry)


def an_event_is_shown_as_another(entries: Sequence[Entry], final: Final) -> Places:
    for place, entry in enumerate(entries):
        if isinstance(entry, Shown) and entry.session in final.sessions:
            wrong = replace(entry, content="other")
            yield partial(_told, entries, final, place, wrong)


def a_snapshot_loses_a_message(entries: Sequence[Entry], final: Final) -> Places:
    for place, entry in enumerate(entries):
        if isinstance(entry, Snapshot) and entry.messages and entry.session in final.sessions:
            wrong = replace(entry, messages=entry.messages[1:])
            yield partial(_told, entries, final, place, wrong)


def a_read_is_stale(entries: Sequence[Entry], final: Final) -> Places:
    returned: dict[str, tuple[int, int]] = {}
    for place, entry in enumerate(entries):
        if not isinstance(entry, Operation) or entry.outcome is not Outcome.OK:
            continue
        seq, at = returned.get(entry.session, (0, 0))
        if entry.kind is Kind.APPEND and entry.seq > seq:
            returned[entry.session] = entry.seq, entry.returned
        elif entry.kind is Kind.GET and seq > 1 and at < entry.invoked:
            wrong = replace(entry, seq=seq - 1)
            yield partial(_told, entries, final, place, wrong)


def a_token_is_shifted(entries: Sequence[Entry], final: Final) -> Places:
    for place, entry in enumerate(entries):
        if isinstance(entry, Token) and entry.text:
            wrong = replace(entry, offset=entry.offset + 1)
            yield partial(_told, entries, final, place, wrong)


def a_listing_loses_a_session(entries: Sequence[Entry], final: Final) -> Places:
    created = {
        each.session: each.returned
        for each in entries
        if isinstance(each, Operation) and each.kind is Kind.CREATE and each.outcome is Outcome.OK
    }
    deleted = {e.session for e in entries if isinstance(e, Operation) and e.kind is Kind.DELETE}
    for place, entry in enumerate(entries):
        if isinstance(entry, Operation) and entry.kind is Kind.LIST and entry.listed:
            session = entry.listed[0][0]
            if created.get(session, entry.invoked) < entry.invoked and session not in deleted:
                wrong = replace(entry, listed=entry.listed[1:])
                yield partial(_told, entries, final, place, wrong)


def an_entry_is_stale(entries: Sequence[Entry], final: Final) -> Places:
    for place, entry in enumerate(final.entries):
        wrong = [*final.entries[:place], replace(entry, revision=entry.revision - 1)]
        wrong += final.entries[place + 1 :]
        yield partial(_listed, entries, final, wrong)


HARMS: list[Harm] = [
    a_record_is_dropped,
    two_records_are_swapped,
    a_record_is_stored_again,
    a_content_is_changed,
    an_epoch_falls,
    an_answer_names_another_seq,
    a_granted_change_is_told_as_refused,
    an_event_is_left_out,
    an_event_is_shown_again,
    an_event_is_shown_as_another,
    a_snapshot_loses_a_message,
    a_read_is_stale,
    a_token_is_shifted,
    a_listing_loses_a_session,
    an_entry_is_stale,
]
