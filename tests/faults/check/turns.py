"""The text of turns: as its worker wrote it, to every reader each character once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from tests.faults.check.evidence import Case, Streamed
from tests.faults.check.violation import Law, Violation
from tests.faults.final import StoredDraft
from tests.faults.history import Attached, EventKind, Reset, Shown, Token


class Text:
    """What one worker wrote in one turn, and by when how much of it."""

    def __init__(self) -> None:
        self.text = ""
        self._times: list[int] = []
        self._lengths: list[int] = []

    def write(self, at: int, offset: int, text: str) -> None:
        """Add a piece; what is there already, written again after a break, stays."""
        if offset <= len(self.text) < offset + len(text):
            self.text += text[len(self.text) - offset :]
            self._times.append(at)
            self._lengths.append(len(self.text))

    def holds(self, at: int, offset: int, text: str) -> bool:
        """Whether exactly this stood there by then."""
        count = bisect_right(self._times, at)
        written = self._lengths[count - 1] if count else 0
        return offset + len(text) <= written and self.text.startswith(text, offset)


def check_turns(case: Case, drafts: Sequence[StoredDraft]) -> Iterator[Violation]:
    """Yield each piece of text that its worker did not write, or that a reader cannot join."""
    texts: dict[str, Text] = {}
    for piece in case.written:
        texts.setdefault(piece.turn, Text()).write(piece.at, piece.offset, piece.text)
    running = ""
    for record in case.records:
        if record.event is EventKind.BEGUN:
            running = record.about
        elif record.event is EventKind.FORKED:
            running = ""
        elif record.event is EventKind.ENDED:
            running = ""
            written = texts.get(record.about)
            whole = written is None or written.text.startswith(record.text)
            if written is not None and record.completed:
                whole = written.text == record.text
            if not whole:
                yield Violation(Law.TURN_TEXT, case.session, (record, *case.written[-1:]))
    for draft in drafts:
        if draft.turn != running:
            yield Violation(Law.DRAFT_ORPHAN, case.session, (draft,))
        elif draft.turn in texts and not texts[draft.turn].text.startswith(
            draft.text, draft.offset
        ):
            yield Violation(Law.TURN_TEXT, case.session, (draft,))
    ends = {each.about: each.text for each in case.records if each.completed}
    for visit in case.visits.values():
        yield from _Reader(case.session, texts, ends).follow(visit)


class _Reader:
    """One stream's view: how much it has of each turn, and which turns it saw end."""

    def __init__(self, session: str, texts: dict[str, Text], ends: dict[str, str]) -> None:
        self._session = session
        self._texts = texts
        self._ends = ends
        self._lengths: dict[str, int] = {}
        self._again: set[str] = set()  # after a reset the next part may begin before the end
        self._ended: set[str] = set()

    def follow(self, visit: Sequence[Streamed]) -> Iterator[Violation]:
        for entry in visit:
            if isinstance(entry, Attached):
                self._lengths = {turn: len(text) for turn, text in entry.turns}
                if not entry.recovered:
                    self._ended.clear()
                for turn, text in entry.turns:
                    yield from self._judge(turn, 0, text, entry.at, entry)
            elif isinstance(entry, Reset):
                self._again.update(self._lengths)
            elif isinstance(entry, Shown) and entry.event is EventKind.ENDED:
                self._ended.add(entry.about)
            elif isinstance(entry, Token):
                yield from self._token(entry)

    def _token(self, token: Token) -> Iterator[Violation]:
        have = self._lengths.get(token.turn, 0)
        law = None
        if token.turn in self._ended:
            law = Law.TOKEN_AFTER_END
        elif token.offset > have:
            law = Law.TOKEN_HOLE
        elif token.offset < have and token.turn not in self._again:
            law = Law.TOKEN_REPEAT
        self._again.discard(token.turn)
        if law is not None:
            yield Violation(law, self._session, (f"after {have} characters", token))
        self._lengths[token.turn] = max(have, token.offset + len(token.text))
        yield from self._judge(token.turn, token.offset, token.text, token.at, token)

    def _judge(
        self, turn: str, offset: int, text: str, at: int, entry: Streamed
    ) -> Iterator[Violation]:
        written, end = self._texts.get(turn), self._ends.get(turn)
        good = written is None or written.holds(at, offset, text)
        # Where no worker was recorded, what the turn became says what was written.
        if written is None and end is not None:
            good = end.startswith(text, offset)
        if text and not good:
            yield Violation(Law.TURN_TEXT, self._session, (entry,))
