"""Members and former owners who do what they may not, or no longer; each beside what they may."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.check import Law
from tests.faults.check.access import GRACE
from tests.faults.check_stories import MESSAGES, Story, asked, breaks, recorded
from tests.faults.history import Attached, EventKind, Kind, Shown, Snapshot, digest

ALICE, BOB = "alice/user/", "bob/user/"


def granted(told: Story, role: str, seq: int = 11, at: int = 130) -> None:
    """Let alice share the session with bob."""
    content, name = digest(role), f"share-{seq}"
    told.lengthen(recorded(seq, EventKind.GRANTED, content, "bob", op_id=name))
    told.add(asked(Kind.SHARE, name, at, seq=seq, content=content, about="bob"))


def revoked(told: Story, seq: int = 12, at: int = 140) -> None:
    """Let alice share it with bob no longer."""
    told.lengthen(recorded(seq, EventKind.REVOKED, "", "bob", op_id=f"unshare-{seq}"))
    told.add(asked(Kind.UNSHARE, f"unshare-{seq}", at, seq=seq, about="bob"))


def given(told: Story, seq: int = 12, at: int = 140) -> None:
    """Let alice give the session, which is shared with bob, to him."""
    told.head = replace(told.head, user="bob")
    told.lengthen(recorded(seq, EventKind.TRANSFERRED, "", "bob", op_id=f"give-{seq}"))
    told.add(asked(Kind.TRANSFER, f"give-{seq}", at, seq=seq, about="bob"))


def said(told: Story, seq: int, at: int, actor: str = "alice") -> None:
    """Let somebody append a message."""
    text, name = digest(f"text {seq}"), f"op-{seq}"
    told.lengthen(recorded(seq, EventKind.MESSAGE, text, actor=actor))
    told.add(asked(Kind.APPEND, name, at, seq=seq, content=text, actor=actor))


@breaks(Law.STRANGER_SERVED)
def a_session_is_shown_to_somebody_who_never_was_a_member(told: Story, broken: bool) -> None:
    if not broken:
        granted(told, "viewer")
    told.add(asked(Kind.GET, "", 140, actor=BOB, seq=len(told.records), messages=MESSAGES))


@breaks(Law.MEMBER_EXCEEDED)
def a_viewer_appends(told: Story, broken: bool) -> None:
    granted(told, "viewer" if broken else "editor")
    said(told, 12, 140, BOB)


@breaks(Law.MEMBER_EXCEEDED)
def an_editor_rewinds(told: Story, broken: bool) -> None:
    granted(told, "editor")
    actor = BOB if broken else "alice"
    told.add(asked(Kind.REWIND, "back", 140, actor=actor, seq=11, content=digest("@11")))


@breaks(Law.MEMBER_EXCEEDED)
def a_former_member_reads(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    revoked(told)
    at = 150 if broken else 142
    told.add(asked(Kind.GET, "", at, actor=BOB, seq=12, messages=MESSAGES))


@breaks(Law.REVOKED_SHOWN)
def a_former_member_goes_on_reading(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    told.add(Attached("b", 1, "s", 134, 135, True, "l", 11, log="l", cursor=11, actor=BOB))
    revoked(told)
    told.add(Shown("b", 1, "s", 145, 12, "unshare-12", EventKind.REVOKED, "", "bob"))
    at = 150 + (GRACE if broken else GRACE // 2)
    said(told, 13, at)
    told.add(Shown("b", 1, "s", at + 5, 13, "op-13", EventKind.MESSAGE, digest("text 13")))


@breaks(Law.REVOKED_SHOWN)
def a_former_member_is_shown_the_present(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    told.add(Attached("b", 1, "s", 134, 135, False, "l", 11, actor=BOB))
    revoked(told)
    at = 150 + 2 * GRACE
    if broken:
        said(told, 13, at)
    else:
        granted(told, "viewer", 13, at)
    told.add(
        Snapshot("b", 1, "s", at + 5, "l", 13, MESSAGES + ((13, digest("text 13")),) * broken, 50)
    )


@breaks(Law.STRANGER_SERVED)
def somebody_attaches_who_never_was_a_member(told: Story, broken: bool) -> None:
    if not broken:
        granted(told, "viewer")
    seq = len(told.records)
    told.add(Attached("b", 1, "s", 134, 135, True, "l", seq, log="l", cursor=seq, actor=BOB))


@breaks(Law.INDEX_MISSING)
def a_member_does_not_find_what_is_shared(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    listed = () if broken else (("s", 11),)
    told.add(asked(Kind.LIST, "", 140, actor=BOB, session="", user="bob", listed=listed))


@breaks(Law.INDEX_ORPHAN)
def a_former_member_finds_what_was_shared(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    revoked(told)
    at = 150 if broken else 142
    listed = (("s", 12),)
    told.add(asked(Kind.LIST, "", at, actor=BOB, session="", user="bob", listed=listed))


@breaks(Law.UNCHANGED_WRONGLY)
def a_grant_is_called_needless(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    role = "editor" if broken else "viewer"
    told.add(asked(Kind.SHARE, "again", 140, seq=11, content=digest(role), about="bob"))


@breaks(Law.MEMBER_EXCEEDED)
def who_gave_a_session_away_goes_on_as_its_owner(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    given(told)
    at = 150 if broken else 142
    told.add(asked(Kind.REWIND, "back", at, actor=ALICE, seq=12, content=digest("@12")))


@breaks(Law.STRANGER_SERVED)
def a_session_is_given_to_one_and_changed_by_another(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    given(told)
    said(told, 13, 150, "carol/user/" if broken else BOB)


@breaks(Law.INDEX_MISSING)
def an_owner_does_not_find_what_was_given_to_them(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    given(told)
    listed = () if broken else (("s", 12),)
    told.add(asked(Kind.LIST, "", 150, actor=BOB, session="", user="bob", listed=listed))


@breaks(Law.INDEX_MISSING)
def who_gave_a_session_away_does_not_find_it(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    given(told)
    listed = () if broken else (("s", 12),)
    told.add(asked(Kind.LIST, "", 142, actor=ALICE, session="", user="alice", listed=listed))


@breaks(Law.UNCHANGED_WRONGLY)
def a_gift_is_called_needless(told: Story, broken: bool) -> None:
    granted(told, "viewer")
    if not broken:
        given(told)
    told.add(asked(Kind.TRANSFER, "again", 150, seq=len(told.records), about="bob"))


@breaks(Law.INDEX_ORPHAN)
def a_session_is_listed_for_who_will_own_it(told: Story, broken: bool) -> None:
    granted(told, "viewer", at=130)
    revoked(told, 12, 140)
    granted(told, "viewer", 13, 150)
    given(told, 14, 160)
    at = 145 if broken else 151
    told.add(asked(Kind.LIST, "", at, actor=BOB, session="", user="bob", listed=(("s", 12),)))


@breaks(Law.INDEX_MISSING)
def who_owned_what_is_gone_now_did_not_find_it(told: Story, broken: bool) -> None:
    if not broken:
        granted(told, "viewer")
        given(told)
    told.add(asked(Kind.LIST, "", 150, actor=ALICE, session="", user="alice"))
    told.delete(170)
