"""Holds, scans and erasures through the front door, with real parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from sessiond import Client
from sessiond.session.events import Record
from sessiond.session.standing import HoldSet
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System, running, until
from tests.e2e.talking import created


async def test_a_held_session_is_kept_from_everybody(
    system: System, alice: httpx.AsyncClient
) -> None:
    """Begun and ended by administrators alone; in between nobody deletes it."""
    session = await created(alice)
    path = f"/api/sessions/{session['id']}"
    admin, service = system.api("root", role="admin"), system.api("crm", role="service")
    problem(await alice.put(f"{path}/hold", json={"held": True}), 403, "PERMISSION_DENIED")
    problem(await service.put(f"{path}/hold", json={"held": True}), 404, "SESSION_NOT_FOUND")
    held = await admin.put(f"{path}/hold", json={"held": True, "reason": "case 7"})
    assert (good(held)["held"], held.headers["etag"]) == (True, '"2"')
    shown = good(await alice.get(path))
    assert shown["held"]
    for caller in (alice, admin):
        problem(await caller.delete(path), 409, "LEGAL_HOLD")
    again = await admin.put(f"{path}/hold", json={"held": True})
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    good(await alice.post(f"/api/chat/{session['id']}/messages", json={"content": "on"}), 201)
    stale = await admin.put(f"{path}/hold", json={"held": False}, headers={"If-Match": '"2"'})
    problem(stale, 412, "STALE_REVISION")
    freed = good(await admin.put(f"{path}/hold", json={"held": False}))
    assert "held" not in freed
    (record,) = [each for each in await system.records(session["id"]) if each.seq == 2]
    assert (record.actor.subject, record.event) == ("root", HoldSet(True, "case 7"))
    good(await alice.delete(path), 204)


async def test_a_bad_hold_is_refused_with_its_fields(
    system: System, alice: httpx.AsyncClient
) -> None:
    """`held` says which way; a reason is one line."""
    session = await created(alice)
    admin, path = system.api("root", role="admin"), f"/api/sessions/{session['id']}/hold"
    assert bad_fields(await admin.put(path, json={})) == ["held"]
    assert bad_fields(await admin.put(path, json={"held": "yes"})) == ["held"]
    for reason in ("x" * 501, "a\nb"):
        assert bad_fields(await admin.put(path, json={"held": True, "reason": reason})) == [
            "reason"
        ]
    assert "held" not in good(await alice.get(f"/api/sessions/{session['id']}"))


async def test_a_hold_is_set_on_a_stream(system: System, alice: httpx.AsyncClient) -> None:
    """As a frame, with everybody who follows seeing the event."""
    session = await created(alice)
    client = Client(
        live=system.cluster.addresses("live"),
        store=system.cluster.addresses("store"),
        token=system.keys.user_token("root", role="admin"),
    )
    async with client, client.attach(session["id"]) as attached:
        events = attached.events()
        assert await attached.set_hold(True, reason="case 7") == 2
        seen = await anext(events)
        assert isinstance(seen, Record)
        assert seen.event == HoldSet(True, "case 7")
        assert attached.state.held
        assert await attached.set_hold(False) == 3


async def test_administrators_scan_all_sessions(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Everybody's, page by page; users are refused."""
    ids = {(await created(caller))["id"] for caller in (alice, bob) for _ in range(3)}
    admin, params = system.api("root", role="admin"), {"pageSize": "2", "workflowId": "chat"}
    found: list[str] = []
    while True:
        page = good(await admin.get("/api/admin/sessions", params=params))
        assert len(page["sessions"]) <= 2
        found += [each["id"] for each in page["sessions"]]
        if not page["nextPageToken"]:
            break
        params["pageToken"] = page["nextPageToken"]
    assert len(found) == len(set(found))
    other = good(await admin.get("/api/admin/sessions", params={"pageSize": "1000"}))
    assert ids <= {each["id"] for each in other["sessions"]}
    old = {"inactiveSince": "2020-01-01T00:00:00Z"}
    assert good(await admin.get("/api/admin/sessions", params=old))["sessions"] == []
    problem(await alice.get("/api/admin/sessions"), 403, "PERMISSION_DENIED")
    bad = {"inactiveSince": "yesterday", "pageSize": "0"}
    answer = await admin.get("/api/admin/sessions", params=bad)
    assert "inactiveSince" in bad_fields(answer)


async def test_a_user_is_erased_and_has_a_receipt(
    ports: Iterator[int], tmp_path: Path, etcd_binary: EtcdBinary
) -> None:
    """Sessions, memberships and lists go; what a hold keeps is named, and goes with the next."""
    async with running(Topology.anywhere(ports, retentions=1), tmp_path, etcd_binary) as system:
        alice, bob = system.api("alice"), system.api("bob")
        admin = system.api("root", role="admin")
        for session_id in ("a-1", "a-2", "held"):
            await created(alice, id=session_id)
        await created(bob, id="of-bob")
        await created(bob, id="bobs-own")
        member = "/api/sessions/of-bob/members/alice"
        good(await bob.put(member, json={"role": "editor"}))
        good(await admin.put("/api/sessions/held/hold", json={"held": True}))
        erasure = "/api/users/alice/erasure"
        problem(await alice.get(erasure), 404, "ERASURE_NOT_FOUND")
        problem(await bob.put(erasure), 403, "PERMISSION_DENIED")
        asked = good(await alice.put(erasure), 202)
        assert "completedAt" not in asked

        receipt = await _done(system, alice, erasure)
        assert receipt["requestedBy"]["subject"] == "alice"
        assert (receipt["sessions"], receipt["shares"]) == (2, 1)
        assert receipt["heldSessionIds"] == ["held"]
        assert await _ids(alice, "alice") == ["held"]
        assert sorted(await _ids(bob, "bob")) == ["bobs-own", "of-bob"]
        problem(await alice.get("/api/sessions/of-bob"), 404, "SESSION_NOT_FOUND")
        assert good(await bob.get("/api/sessions/of-bob/members"))["members"] == []

        good(await admin.put("/api/sessions/held/hold", json={"held": False}))
        good(await admin.put(erasure), 202)
        again = await _done(system, alice, erasure)
        assert (again["sessions"], again["requestedBy"]["subject"]) == (1, "root")
        assert await _ids(alice, "alice") == []
        assert good(await alice.put(erasure), 202) == again


async def _done(system: System, caller: httpx.AsyncClient, erasure: str) -> Any:
    """Let retention look now, and return the receipt."""
    await system.cluster.restart("retention-1")

    async def completed() -> Any:
        shown = good(await caller.get(erasure))
        return shown if "completedAt" in shown else None

    return await until(completed, seconds=30)


async def _ids(caller: httpx.AsyncClient, user: str) -> list[str]:
    page = good(await caller.get(f"/api/users/{user}/sessions"))
    return [each["id"] for each in page["sessions"]]
