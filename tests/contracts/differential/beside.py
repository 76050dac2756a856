"""What stands beside sessions: templates, jobs and erasures."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contracts.differential.copying import Copying
from tests.contracts.differential.sides import Term
from tests.contracts.differential.works import JOBS, LARGE, NAMES, picks, users

names = st.sampled_from(NAMES)
jobs = st.sampled_from(JOBS)
holders = st.sampled_from([b"one", b"two"])
erasures = st.sampled_from([b"asked", b"asked again", b"done"])


class Beside(Copying):
    """Everything that is written beside sessions."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self.held: dict[str, bytes] = {}
        self.asked: dict[str, bytes] = {}

    # --- templates -----------------------------------------------------------------------------

    @rule(user_id=users, name=names, template=st.sampled_from([b"one", b"two", b"", LARGE]))
    def put_template(self, user_id: str, name: str, template: bytes) -> None:
        """Seldom one that is too large, often over another one."""
        self.ask(lambda side: side.repository.put_template(user_id, name, template))

    @rule(user_id=users, name=names)
    def delete_template(self, user_id: str, name: str) -> None:
        """Mostly one that is there."""
        self.ask(lambda side: side.repository.delete_template(user_id, name))

    # --- jobs ----------------------------------------------------------------------------------

    @rule(job=jobs, holder=holders)
    def hold_job(self, job: str, holder: bytes) -> None:
        """Take it, prolong it, or hear that it is another's."""
        if self.ask(lambda side: side.hold(job, holder)) != Term(0):
            self.held[job] = holder

    @rule(job=jobs, holder=holders)
    def release_job(self, job: str, holder: bytes) -> None:
        """Mostly another's, or nobody's."""
        self.ask(lambda side: side.repository.release_job(job, holder))
        if self.held.get(job) == holder:
            del self.held[job]

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def lapse(self, pick: int) -> None:
        """A holder is not heard of."""
        job = sorted(self.held)[pick % len(self.held)]
        self.ask(lambda side: side.place.lapse(job))
        del self.held[job]

    # --- erasures ------------------------------------------------------------------------------

    @rule(user_id=users, erasure=erasures, expected=st.none() | erasures, known=st.booleans())
    def ask_erasure(
        self, user_id: str, erasure: bytes, expected: bytes | None, known: bool
    ) -> None:
        """By somebody who knows what stands, or thinks so."""
        before = self.asked.get(user_id) if known else expected
        stands = self.ask(
            lambda side: side.repository.ask_erasure(user_id, erasure, expected=before)
        )
        if stands:
            self.asked[user_id] = stands

    @precondition(lambda self: self.asked)
    @rule(pick=picks, at=st.just(0) | picks, expected=st.none() | erasures)
    def complete_erasure(self, pick: int, at: int, expected: bytes | None) -> None:
        """As it stands now, or as somebody saw it once."""
        user_id = sorted(self.asked)[pick % len(self.asked)]
        before = self.asked[user_id] if expected is None else expected
        moment = self.moment(at)
        receipt = b"receipt"
        done = self.ask(
            lambda side: side.repository.complete_erasure(
                user_id, receipt, expected=before, revision=moment.at(side)
            )
        )
        if done is True:
            self.asked[user_id] = receipt
