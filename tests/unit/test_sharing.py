"""Who becomes a member, by a grant or by a link, and who becomes the owner."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sessiond.errors import InvalidArgument, PermissionDenied, SessionFull, SessionNotFound
from sessiond.session.access import Identity, MemberRole, Role
from sessiond.session.apply import apply
from sessiond.session.changes import (
    Change,
    JoinSession,
    MakeLink,
    RevokeLink,
    ShareSession,
    TransferSession,
    UnshareSession,
    fingerprint,
)
from sessiond.session.decide import decide
from sessiond.session.events import Event, Record
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.session.sharing import Gain, gain
from sessiond.session.standing import (
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
)
from sessiond.session.state import Session
from tests.unit.stories import ALICE, CONSULTANT, Story

BOB = Identity("bob")
NOW_MS = 1_900_000_000_000
EDITOR, APPROVER, VIEWER = MemberRole.EDITOR, MemberRole.APPROVER, MemberRole.VIEWER


def asked(
    session: Session,
    change: object,
    identity: Identity = ALICE,
    *,
    now_ms: int = NOW_MS,
    secret: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Event, ...]:
    """Return what the rules make of a change."""
    return decide(
        session,
        change,  # type: ignore[arg-type]
        identity=identity,
        now_ms=now_ms,
        new_id=lambda: "l-1",
        limits=limits,
        secret_hash=hashlib.sha256(secret.encode()).digest() if secret else b"",
    )


def after(session: Session, change: object, identity: Identity = ALICE, **given: object) -> Session:
    """Return the session after a change."""
    now_ms = int(str(given.get("now_ms", NOW_MS)))
    for event in asked(session, change, identity, **given):  # type: ignore[arg-type]
        session = apply(session, Record(session.seq + 1, now_ms, identity.actor, event))
    return session


def by(secret: str) -> JoinSession:
    return JoinSession(hashlib.sha256(secret.encode()).hexdigest())


@pytest.fixture
def session() -> Session:
    return Story().session


def test_a_grant_makes_a_member_and_another_one_changes_the_role(session: Session) -> None:
    """What is there already makes no event."""
    assert asked(session, ShareSession("bob", VIEWER)) == (MemberGranted("bob", VIEWER),)
    shared = after(session, ShareSession("bob", VIEWER))
    assert shared.roles == {"bob": VIEWER}
    assert asked(shared, ShareSession("bob", VIEWER)) == ()
    assert after(shared, ShareSession("bob", EDITOR)).roles == {"bob": EDITOR}


@pytest.mark.parametrize("user_id", ["alice", "", "a\nb", "x" * 129])
def test_nobody_and_oneself_are_granted_nothing(session: Session, user_id: str) -> None:
    """The bad field is named."""
    with pytest.raises(InvalidArgument) as refused:
        asked(session, ShareSession(user_id, VIEWER))
    assert [each.field for each in refused.value.violations] == ["user_id"]


def test_a_revoked_member_is_one_no_longer(session: Session) -> None:
    """To revoke what is absent changes nothing."""
    shared = after(session, ShareSession("bob", VIEWER))
    assert asked(shared, UnshareSession("bob")) == (MemberRevoked("bob"),)
    assert after(shared, UnshareSession("bob")).roles == {}
    assert asked(session, UnshareSession("bob")) == ()
    assert asked(session, UnshareSession("alice")) == ()


def test_members_have_a_bound(session: Session) -> None:
    """Links take none of their room; who is a member already takes no more."""
    limits = replace(DEFAULT_LIMITS, members=1, links=1)
    linked = after(session, MakeLink(EDITOR), secret="s", limits=limits)
    joined = after(linked, by("s"), BOB, limits=limits)
    assert joined.roles == {"bob": EDITOR}
    for change, identity in ((ShareSession("carol", VIEWER), ALICE), (by("s"), Identity("carol"))):
        with pytest.raises(SessionFull):
            asked(joined, change, identity, limits=limits)
    assert asked(joined, ShareSession("bob", VIEWER), limits=limits)
    assert asked(joined, by("s"), BOB, limits=limits) == ()


def test_links_have_a_bound_of_their_own(session: Session) -> None:
    """Members take none of their room, nor do links that have expired."""
    limits = replace(DEFAULT_LIMITS, members=1, links=1)
    shared = after(session, ShareSession("bob", VIEWER), limits=limits)
    linked = after(shared, MakeLink(VIEWER, NOW_MS + 10), secret="s", limits=limits)
    with pytest.raises(SessionFull):
        asked(linked, MakeLink(VIEWER), limits=limits)
    assert asked(linked, MakeLink(VIEWER), now_ms=NOW_MS + 10, limits=limits)


def test_links_that_have_expired_go_with_the_next_one(session: Session) -> None:
    """Or the table would grow without a bound."""
    session = after(session, MakeLink(VIEWER, NOW_MS + 10), secret="s")
    again = asked(session, MakeLink(VIEWER), now_ms=NOW_MS + 10, secret="t")
    (made,) = again
    assert isinstance(made, LinkMade)
    record = Record(session.seq + 1, NOW_MS + 10, ALICE.actor, replace(made, link_id="l-2"))
    assert list(apply(session, record).links) == ["l-2"]


def test_a_link_holds_the_hash_of_its_secret_and_says_until_when(session: Session) -> None:
    """Without an end it is good for ever."""
    hashed = hashlib.sha256(b"s").digest()
    ending = MakeLink(EDITOR, NOW_MS + 1)
    assert asked(session, ending, secret="s") == (LinkMade("l-1", EDITOR, NOW_MS + 1, hashed),)
    assert asked(session, MakeLink(EDITOR), secret="s") == (LinkMade("l-1", EDITOR, 0, hashed),)
    for past in (NOW_MS, 0, -5):
        with pytest.raises(InvalidArgument):
            asked(session, MakeLink(EDITOR, past), secret="s")


def test_a_secret_lets_in_until_its_link_is_over(session: Session) -> None:
    """A wrong one, and that of a link that expired or was revoked, look as an absent session."""
    linked = after(session, MakeLink(APPROVER, NOW_MS + 10), secret="s")
    granted = (MemberGranted("bob", APPROVER, "l-1"),)
    assert asked(linked, by("s"), BOB) == granted
    assert asked(linked, by("s"), Identity("crm", Role.SERVICE, acting_for="bob")) == granted
    revoked = after(linked, RevokeLink("l-1"))
    assert asked(revoked, RevokeLink("l-1")) == ()
    assert asked(linked, RevokeLink("l-1")) == (LinkRevoked("l-1"),)
    for place, secret, now_ms in (
        (linked, "t", NOW_MS),
        (linked, "", NOW_MS),
        (linked, "s", NOW_MS + 10),
        (revoked, "s", NOW_MS),
        (session, "s", NOW_MS),
    ):
        with pytest.raises(SessionNotFound):
            asked(place, by(secret), BOB, now_ms=now_ms)


def test_a_link_without_a_hash_lets_nobody_in(session: Session) -> None:
    """Those of imported sessions have none."""
    linked = after(session, MakeLink(VIEWER))
    with pytest.raises(SessionNotFound):
        asked(linked, by(""), BOB)


def test_agents_do_not_join(session: Session) -> None:
    """Members are users; whoever has no good secret is told nothing all the same."""
    linked = after(session, MakeLink(VIEWER), secret="s")
    for nobody in (CONSULTANT, Identity("crm", Role.SERVICE)):
        with pytest.raises(PermissionDenied):
            asked(linked, by("s"), nobody)
        with pytest.raises(SessionNotFound):
            asked(linked, by("t"), nobody)


@pytest.mark.parametrize(
    ("had", "link", "has"),
    [
        (VIEWER, EDITOR, EDITOR),
        (VIEWER, APPROVER, APPROVER),
        (EDITOR, VIEWER, EDITOR),
        (APPROVER, VIEWER, APPROVER),
        (APPROVER, EDITOR, APPROVER),
        (EDITOR, APPROVER, EDITOR),
        (VIEWER, VIEWER, VIEWER),
    ],
)
def test_a_link_takes_no_right_away(
    session: Session, had: MemberRole, link: MemberRole, has: MemberRole
) -> None:
    """It changes a role only where that adds rights; and the owner stays the owner."""
    linked = after(after(session, ShareSession("bob", had)), MakeLink(link), secret="s")
    assert after(linked, by("s"), BOB).roles == {"bob": has}
    assert asked(linked, by("s"), ALICE) == ()


def test_only_a_member_becomes_the_owner(session: Session) -> None:
    """The former owner becomes an editor; to give it to whom it belongs changes nothing."""
    shared = after(session, ShareSession("bob", VIEWER))
    assert asked(shared, TransferSession("bob")) == (OwnerTransferred("bob", "alice"),)
    given = after(shared, TransferSession("bob"))
    assert (given.user_id, given.roles) == ("bob", {"alice": EDITOR})
    assert asked(given, TransferSession("bob"), BOB) == ()
    with pytest.raises(InvalidArgument):
        asked(shared, TransferSession("carol"))


def test_fingerprints_leave_out_what_the_server_made() -> None:
    """A repeated link is the same change whatever secret; another secret is another join."""
    assert fingerprint(MakeLink(VIEWER)) != fingerprint(MakeLink(VIEWER, 5))
    assert fingerprint(by("s")) != fingerprint(by("t"))
    assert fingerprint(ShareSession("bob", VIEWER)) != fingerprint(ShareSession("bob", EDITOR))
    assert fingerprint(UnshareSession("bob")) != fingerprint(TransferSession("bob"))


@pytest.mark.parametrize(
    ("change", "identity", "grown"),
    [
        (ShareSession("carol", VIEWER), ALICE, Gain(member="carol")),
        (ShareSession("bob", VIEWER), ALICE, Gain()),  # has it, and gets another role
        (ShareSession("bob", EDITOR), ALICE, Gain()),
        (UnshareSession("bob"), ALICE, Gain()),
        (by("s"), Identity("carol"), Gain(member="carol")),
        (by("s"), BOB, Gain()),
        (TransferSession("bob"), ALICE, Gain(owner="bob", member="alice")),
        (TransferSession("alice"), ALICE, Gain()),
    ],
)
def test_it_is_told_whose_list_grows(
    session: Session, change: Change, identity: Identity, grown: Gain
) -> None:
    """Only of who does not have the session yet."""
    shared = after(after(session, ShareSession("bob", EDITOR)), MakeLink(VIEWER), secret="s")
    assert gain(shared, asked(shared, change, identity)) == grown
