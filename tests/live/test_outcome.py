"""The table of outcomes: each row of it, and nothing between them."""

from __future__ import annotations

import pytest

from services.live.outcome import Attempt, Verdict, judge
from sessiond.session.access import Actor, Role
from sessiond.store.codec import Tombstone, encode_tombstone_head
from sessiond.store.v1.records_pb2 import Head
from sessiond.v1.ownership_pb2 import CommitOutcome

EXPECTED = Head(format=1, epoch=3, seq=4, commit_id=b"before", status=1).SerializeToString()
MINE = Head(format=1, epoch=3, seq=5, commit_id=b"mine", status=1).SerializeToString()
TAKEN = Head(format=1, epoch=4, seq=4, commit_id=b"theirs", status=1).SerializeToString()
STRANGE = Head(format=1, epoch=3, seq=5, commit_id=b"strange", status=1).SerializeToString()
ALICE = Actor("alice", Role.USER)
TOMB = encode_tombstone_head(9, Tombstone(ALICE, "delete-1", b"h", 1))


def refused(head: bytes, *, registered: bool = True) -> CommitOutcome:
    return CommitOutcome(refused=CommitOutcome.Refused(head=head, registered=registered))


def attempt(*, unknown: bool = False, actor: Actor | None = None, op_id: str = "") -> Attempt:
    return Attempt(EXPECTED, b"mine", 3, unknown=unknown, actor=actor, op_id=op_id)


@pytest.mark.parametrize("unknown", [False, True])
def test_a_head_that_carries_the_commit_is_the_commit(unknown: bool) -> None:
    """An unknown outcome is resolved by writing the same again: its own head says committed."""
    assert judge(attempt(unknown=unknown), refused(MINE)) is Verdict.COMMITTED


@pytest.mark.parametrize("unknown", [False, True])
def test_a_gone_registration_under_the_expected_head_fences(unknown: bool) -> None:
    """Nothing of a dead instance was applied, and nothing of it ever can be."""
    assert judge(attempt(unknown=unknown), refused(EXPECTED, registered=False)) is Verdict.FENCED


@pytest.mark.parametrize("registered", [False, True])
def test_another_epoch_after_known_tries_means_not_applied(registered: bool) -> None:
    """A first try that was refused under another owner stored nothing."""
    outcome = refused(TAKEN, registered=registered)
    assert judge(attempt(), outcome) is Verdict.LOST


def test_another_epoch_after_an_unknown_try_means_unknown() -> None:
    """The former try may have been stored before the takeover: only the operation id can tell."""
    assert judge(attempt(unknown=True), refused(TAKEN)) is Verdict.LOST_UNKNOWN


def test_the_own_tombstone_is_a_committed_deletion() -> None:
    """A deletion recognises its tombstone by actor and operation id."""
    told = judge(attempt(unknown=True, actor=ALICE, op_id="delete-1"), refused(TOMB))
    assert told is Verdict.COMMITTED


@pytest.mark.parametrize(
    ("unknown", "verdict"), [(False, Verdict.GONE), (True, Verdict.GONE_UNKNOWN)]
)
@pytest.mark.parametrize("head", [TOMB, b""])
def test_another_tombstone_or_nothing_means_gone(
    unknown: bool, verdict: Verdict, head: bytes
) -> None:
    """Deleted by somebody else: not applied, or unknown after an unknown try."""
    assert judge(attempt(unknown=unknown), refused(head)) is verdict
    other = attempt(unknown=unknown, actor=ALICE, op_id="delete-2")
    assert judge(other, refused(head)) is verdict


@pytest.mark.parametrize("head", [STRANGE, EXPECTED])
def test_what_cannot_be_is_our_bug(head: bytes) -> None:
    """Another writer in the same epoch, or a refusal without a reason, stops the room loudly."""
    assert judge(attempt(), refused(head)) is Verdict.BROKEN
    assert judge(attempt(), CommitOutcome()) is Verdict.BROKEN


def test_an_unknown_outcome_is_tried_again_and_a_known_one_is_taken() -> None:
    """Unknown means the same again; committed and unstorable mean what they say."""
    unknown = CommitOutcome(unknown=CommitOutcome.Unknown())
    committed = CommitOutcome(committed=CommitOutcome.Committed())
    unstorable = CommitOutcome(unstorable=CommitOutcome.Unstorable())
    assert judge(attempt(), unknown) is Verdict.AGAIN
    assert judge(attempt(), committed) is Verdict.COMMITTED
    assert judge(attempt(), unstorable) is Verdict.UNSTORABLE


def test_put_off_counts_only_where_no_try_is_unknown() -> None:
    """Put off means not applied, but it says nothing about a try before."""
    put_off = CommitOutcome(put_off=CommitOutcome.PutOff())
    assert judge(attempt(), put_off) is Verdict.PUT_OFF
    assert judge(attempt(unknown=True), put_off) is Verdict.AGAIN
