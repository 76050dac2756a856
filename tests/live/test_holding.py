"""Holds in a room: deletions that come with them, before them and after them."""

from __future__ import annotations

import pytest

from sessiond.errors import LegalHold, PermissionDenied
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, DeleteSession, SetHold
from sessiond.v1.ownership_pb2 import Commit, DeleteRequest
from tests.live.rooms import ALICE, House, asked, commit, confirmed, formed

ADMIN = Identity("root", Role.ADMIN)
SERVICE = Identity("crm", Role.SERVICE, acting_for="alice")


@pytest.mark.parametrize("identity", [ALICE, SERVICE])
async def test_only_administrators_hold(identity: Identity) -> None:
    """An owner may not, and so neither may who acts for one."""
    room = House().room()
    refused = asked(SetHold(True), "a", identity)
    room.submit(refused)
    confirmed(room)
    with pytest.raises(PermissionDenied):
        refused.reply.result()


async def test_a_deletion_behind_a_hold_is_refused_once_the_hold_is_stored() -> None:
    """The refusal rests on the hold, so it comes with it."""
    room = House().room()
    held, deletion = asked(SetHold(True), "a", ADMIN), asked(DeleteSession(), "b")
    room.submit(held)
    room.submit(deletion)
    write = commit(room)
    assert isinstance(write.write, Commit)
    assert held.reply.result().seq == 2
    with pytest.raises(LegalHold):
        deletion.reply.result()
    assert room.closed is None


async def test_a_deletion_of_a_held_session_is_refused_and_the_room_goes_on() -> None:
    """By its owner and by an administrator; what waits behind it is made."""
    room = House().room()
    room.submit(asked(SetHold(True), "a", ADMIN))
    commit(room)
    deletions = [asked(DeleteSession(), "b"), asked(DeleteSession(), "c", ADMIN)]
    for deletion in deletions:
        room.submit(deletion)
    append = asked(AppendMessage("on"), "d")
    room.submit(append)
    commit(room)
    for deletion in deletions:
        with pytest.raises(LegalHold):
            deletion.reply.result()
    assert append.reply.result().seq == 3


async def test_a_deletion_behind_the_end_of_a_hold_is_made() -> None:
    """What came before it is written first."""
    room = House().room()
    room.submit(asked(SetHold(True), "a", ADMIN))
    commit(room)
    room.submit(asked(SetHold(False), "b", ADMIN))
    deletion = asked(DeleteSession(), "c")
    room.submit(deletion)
    assert isinstance(commit(room).write, Commit)
    assert isinstance(formed(room).write, DeleteRequest)
