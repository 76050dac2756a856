"""One vocabulary of failure, told the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sessiond.errors import (
    BY_REASON,
    CARRIED,
    FieldViolation,
    InvalidArgument,
    OutcomeUnknown,
    SessiondError,
    SessionMoved,
    StaleRevision,
    Unavailable,
    Violations,
)
from sessiond.v1.errors_pb2 import ErrorReason


def below(failure: type[SessiondError]) -> Iterator[type[SessiondError]]:
    for subclass in failure.__subclasses__():
        yield subclass
        yield from below(subclass)


def test_every_failure_is_carried_over_every_transport() -> None:
    """Each subclass of SessiondError has its row in CARRIED, and no row is without a subclass."""
    assert set(below(SessiondError)) == set(CARRIED)


def test_every_failure_stands_in_the_contract_by_its_own_name() -> None:
    """The reasons are the names of the proto's enum, one for one."""
    reasons = [failure.reason for failure in CARRIED]
    assert len(set(reasons)) == len(reasons)
    named = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name}
    assert set(reasons) == named - {"UNSPECIFIED"}
    assert all(BY_REASON[failure.reason] is failure for failure in CARRIED)


def test_close_codes_are_distinct_and_say_whether_to_come_back() -> None:
    """4000 to 4499 for what coming back may heal; 4500 to 4999 for what it cannot."""
    closes = [carriage.close for carriage in CARRIED.values()]
    assert len(set(closes)) == len(closes)
    assert all(4000 <= close < 5000 for close in closes)
    for carriage in CARRIED.values():
        assert not carriage.retryable or carriage.close < 4500


@pytest.mark.parametrize("failure", CARRIED, ids=lambda failure: str(failure.reason))
def test_a_failure_is_retryable_only_where_http_says_so_too(failure: type[SessiondError]) -> None:
    """What is retryable travels as 429, 503 or 504."""
    carriage = CARRIED[failure]
    assert not carriage.retryable or carriage.http in {429, 503, 504}


@pytest.mark.parametrize("failure", CARRIED, ids=lambda failure: str(failure.reason))
def test_a_failure_has_a_sentence_for_a_person(failure: type[SessiondError]) -> None:
    """Every default detail is one whole sentence."""
    assert failure.default_detail[0].isupper()
    assert failure.default_detail.endswith(".")


def test_failures_that_pass_say_when_to_come_back() -> None:
    """Unavailable, moved and unknown ones name a second by default, and what is given otherwise."""
    for failure in (Unavailable, OutcomeUnknown, SessionMoved):
        assert failure().retry_after == 1.0
        assert failure(retry_after=0.2).retry_after == 0.2


def test_a_stale_revision_names_the_revision_that_is() -> None:
    """The fact travels as text beside the name."""
    assert StaleRevision(17).facts() == {"revision": "17"}
    assert InvalidArgument().facts() == {}


def test_bad_fields_are_told_all_at_once() -> None:
    """Violations raise nothing while empty, and everything together otherwise."""
    found = Violations()
    found.check()
    found.add("title", "too long")
    found.add("id", "not in the alphabet")
    with pytest.raises(InvalidArgument) as refused:
        found.check()
    assert refused.value.violations == (
        FieldViolation("title", "too long"),
        FieldViolation("id", "not in the alphabet"),
    )
    assert InvalidArgument.of("q", "no").violations == (FieldViolation("q", "no"),)
