"""Who may do what, written by hand: what `make show-authz` asserts of every route, RPC and frame.

Nothing of the product is imported here: a table that was made of the product's own would agree with
it whatever it says. Each row says who may; who sees the session, and may not, is refused (403); for
all others there is no such session (404); without a good token nobody is heard (401).

Changes are asked for with a revision that the session has not, so that whoever may make one is told
that it is stale, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

ACTORS = (
    "anonymous",
    "expired",
    "owner",
    "editor",
    "approver",
    "viewer",
    "former member",
    "link holder",
    "stranger",
    "agent",
    "service",
    "administrator",
)
"""Who asks. The link holder has not joined; the service acts for nobody."""

STATES = ("idle", "held", "moving", "deleted")
"""How the session stands: owned by no Live, by one, by one after another, or gone."""

NOBODY = frozenset({"anonymous", "expired"})
KNOWN = frozenset(ACTORS) - NOBODY
MEMBERS = frozenset({"editor", "approver", "viewer"})
USERS = KNOWN - {"agent", "service"}
READERS = MEMBERS | {"owner", "agent", "administrator"}
WRITERS = frozenset({"owner", "editor", "agent", "administrator"})
EDITORS = frozenset({"owner", "editor", "administrator"})
DECIDERS = frozenset({"owner", "approver", "administrator"})
OWNERS = frozenset({"owner", "administrator"})
ADMINISTRATORS = frozenset({"administrator"})
BACKENDS = frozenset({"service", "administrator"})
LINK_HOLDER = frozenset({"link holder"})

MAY, UNKNOWN_CALLER, DENIED, ABSENT = "may", "401", "403", "404"


class Row(NamedTuple):
    """One thing that may be asked.

    Attributes:
        may: who may.
        body: what is asked, with `{session}`, `{me}`, `{secret}` and `{new}` filled in.
        of: "session" where who does not see it is told 404, "user" where the user's own things are
            meant and others are told 403, "all" where it is of no session and no user.
    """

    may: frozenset[str]
    body: Mapping[str, Any] = {}
    of: str = "session"


STALE = 999_999
_REVISION = {"expected_revision": STALE}
_VIEWER = 3
# Of a session that begins with a pause: whoever may import is told that there is none.
_EXPORT = {
    "format": "sessiond.export",
    "version": 1,
    "session": {
        "id": "{new}",
        "userId": "{me}",
        "workflowId": "chat",
        "status": "active",
        "currentAgent": "assistant",
        "currentStep": 0,
        "createdAt": "2026-01-01T00:00:00Z",
        "lastActive": "2026-01-01T00:00:00Z",
        "progress": {
            "totalSteps": 0,
            "completedSteps": 0,
            "currentStepId": "",
            "estimatedTimeRemaining": 0,
            "stageProgress": {},
        },
        "title": "",
        "metadata": {},
        "revision": 1,
        "messageCount": 0,
        "lastMessage": "",
    },
    "events": [
        {
            "sessionId": "{new}",
            "seq": 1,
            "time": "2026-01-01T00:00:00Z",
            "actor": {"subject": "{me}", "role": "user", "actingFor": ""},
            "opId": "",
            "sessionPaused": {},
            "hash": "",
        }
    ],
}

ROUTES: Mapping[str, Row] = {
    "POST /api/sessions": Row(USERS, {"id": "{new}", "workflowId": "chat"}, "all"),
    "GET /api/sessions/{session}": Row(READERS),
    "PATCH /api/sessions/{session}": Row(EDITORS, {"title": "x"}),
    "DELETE /api/sessions/{session}": Row(OWNERS),
    "PUT /api/sessions/{session}/pause": Row(EDITORS),
    "PUT /api/sessions/{session}/resume": Row(EDITORS),
    "GET /api/chat/{session}/messages": Row(READERS),
    "POST /api/chat/{session}/messages": Row(WRITERS, {"content": "x"}),
    "POST /api/chat/{session}/outputs": Row(WRITERS, {"content": "x"}),
    "PUT /api/chat/{session}/outputs/o": Row(EDITORS, {"content": "x"}),
    "PUT /api/chat/{session}/approve": Row(DECIDERS, {}),
    "GET /api/sessions/{session}/members": Row(READERS),
    "PUT /api/sessions/{session}/members/somebody": Row(OWNERS, {"role": "viewer"}),
    "DELETE /api/sessions/{session}/members/somebody": Row(OWNERS),
    "DELETE /api/sessions/{session}/members/{me}": Row(READERS - {"agent"}),
    "POST /api/sessions/{session}/links": Row(OWNERS, {"role": "viewer"}),
    "DELETE /api/sessions/{session}/links/l": Row(OWNERS),
    "PUT /api/sessions/{session}/owner": Row(OWNERS, {"userId": "somebody"}),
    "POST /api/sessions/{session}/join": Row(LINK_HOLDER, {"secret": "{secret}"}),
    "PUT /api/sessions/{session}/rewind": Row(OWNERS, {"toSeq": 1}),
    "PUT /api/sessions/{session}/hold": Row(ADMINISTRATORS, {"held": True}),
    "POST /api/sessions/{session}/fork": Row(READERS - {"agent"}, {"id": "{new}"}),
    "GET /api/sessions/{session}/export": Row(READERS),
    "GET /api/sessions/{session}/events": Row(READERS),
    "GET /api/ws/{session}": Row(READERS),
    "GET /api/workflows": Row(KNOWN, {}, "all"),
    "GET /api/users/{owner}/sessions": Row(OWNERS, {}, "user"),
    "GET /api/users/{owner}/events": Row(OWNERS, {}, "user"),
    "GET /api/users/{owner}/templates": Row(OWNERS, {}, "user"),
    "GET /api/users/{owner}/templates/chat": Row(OWNERS, {}, "user"),
    "PUT /api/users/{owner}/templates/mine": Row(OWNERS, {"workflowId": "chat"}, "user"),
    "DELETE /api/users/{owner}/templates/none": Row(OWNERS, {}, "user"),
    "GET /api/users/{owner}/erasure": Row(OWNERS, {}, "user"),
    "PUT /api/users/{nobody}/erasure": Row(ADMINISTRATORS, {}, "user"),
    "GET /api/admin/sessions": Row(BACKENDS, {}, "user"),
    "GET /api/changes": Row(BACKENDS, {}, "user"),
    "POST /api/import": Row(USERS, _EXPORT, "all"),
}
"""Every route of the API. The dashboard and the probes are open to everybody."""

RPCS: Mapping[str, Row] = {
    "StoreService/CreateSession": Row(USERS, {"id": "{new}", "workflow_id": "chat"}, "all"),
    "StoreService/GetSession": Row(READERS, {"session_id": "{session}"}),
    "StoreService/ListSessions": Row(OWNERS, {"user_id": "{owner}"}, "user"),
    "StoreService/ListMessages": Row(READERS, {"session_id": "{session}"}),
    "StoreService/ListWorkflows": Row(KNOWN, {}, "all"),
    "StoreService/WatchSessions": Row(OWNERS, {"user_id": "{owner}"}, "user"),
    "StoreService/ListMembers": Row(READERS, {"session_id": "{session}"}),
    "StoreService/ReadHistory": Row(READERS, {"session_id": "{session}"}),
    "StoreService/ForkSession": Row(
        READERS - {"agent"}, {"session_id": "{session}", "id": "{new}"}
    ),
    "StoreService/ImportSession": Row(
        USERS, {"header": {"session_id": "{new}", "last_seq": 1}}, "all"
    ),
    "StoreService/PutTemplate": Row(
        OWNERS, {"user_id": "{owner}", "name": "mine", "workflow_id": "chat"}, "user"
    ),
    "StoreService/GetTemplate": Row(OWNERS, {"user_id": "{owner}", "name": "chat"}, "user"),
    "StoreService/ListTemplates": Row(OWNERS, {"user_id": "{owner}"}, "user"),
    "StoreService/DeleteTemplate": Row(OWNERS, {"user_id": "{owner}", "name": "none"}, "user"),
    "StoreService/ScanSessions": Row(BACKENDS, {}, "user"),
    "StoreService/WatchChanges": Row(BACKENDS, {}, "user"),
    "StoreService/EraseUser": Row(ADMINISTRATORS, {"user_id": "{nobody}"}, "user"),
    "StoreService/GetErasure": Row(OWNERS, {"user_id": "{owner}"}, "user"),
    "LiveService/AppendMessage": Row(
        WRITERS, {"session_id": "{session}", "content": "x", **_REVISION}
    ),
    "LiveService/UpdateSession": Row(
        EDITORS, {"session_id": "{session}", "title": "x", **_REVISION}
    ),
    "LiveService/ApproveOutput": Row(DECIDERS, {"session_id": "{session}", **_REVISION}),
    "LiveService/SubmitOutput": Row(
        WRITERS, {"session_id": "{session}", "content": "x", **_REVISION}
    ),
    "LiveService/EditOutput": Row(
        EDITORS, {"session_id": "{session}", "output_id": "o", "content": "x", **_REVISION}
    ),
    "LiveService/PauseSession": Row(EDITORS, {"session_id": "{session}", **_REVISION}),
    "LiveService/ResumeSession": Row(EDITORS, {"session_id": "{session}", **_REVISION}),
    "LiveService/DeleteSession": Row(OWNERS, {"session_id": "{session}", **_REVISION}),
    "LiveService/ShareSession": Row(
        OWNERS, {"session_id": "{session}", "user_id": "somebody", "role": _VIEWER, **_REVISION}
    ),
    "LiveService/UnshareSession": Row(
        OWNERS, {"session_id": "{session}", "user_id": "somebody", **_REVISION}
    ),
    "LiveService/MakeLink": Row(OWNERS, {"session_id": "{session}", "role": _VIEWER, **_REVISION}),
    "LiveService/RevokeLink": Row(OWNERS, {"session_id": "{session}", "link_id": "l", **_REVISION}),
    "LiveService/JoinSession": Row(LINK_HOLDER, {"session_id": "{session}", "secret": "{secret}"}),
    "LiveService/TransferSession": Row(
        OWNERS, {"session_id": "{session}", "user_id": "somebody", **_REVISION}
    ),
    "LiveService/RewindSession": Row(OWNERS, {"session_id": "{session}", "to_seq": 1, **_REVISION}),
    "LiveService/SetHold": Row(
        ADMINISTRATORS, {"session_id": "{session}", "held": True, **_REVISION}
    ),
    "LiveService/Connect": Row(KNOWN, {}, "all"),
    "JobService/HoldJob": Row(
        BACKENDS, {"job": "authz", "holder": "MDEyMzQ1Njc4OWFiY2RlZg=="}, "user"
    ),
    "JobService/ReleaseJob": Row(
        BACKENDS, {"job": "authz", "holder": "MDEyMzQ1Njc4OWFiY2RlZg=="}, "user"
    ),
    "JobService/ListErasures": Row(BACKENDS, {}, "user"),
    "JobService/CompleteErasure": Row(BACKENDS, {"user_id": "{nobody}"}, "user"),
}
"""Every RPC of callers; those between our own parts take their tokens alone."""

FRAMES: Mapping[str, Row] = {
    "hello": Row(KNOWN, {}, "all"),
    "ping": Row(KNOWN, {}, "all"),
    "close": Row(KNOWN, {}, "all"),
    "attach": Row(READERS),
    "detach": Row(KNOWN, {}, "all"),
    "append": Row(WRITERS, {"content": "x", **_REVISION}),
    "update": Row(EDITORS, {"title": "x", **_REVISION}),
    "submit_output": Row(WRITERS, {"content": "x", **_REVISION}),
    "edit_output": Row(EDITORS, {"output_id": "o", "content": "x", **_REVISION}),
    "approve": Row(DECIDERS, _REVISION),
    "pause": Row(EDITORS, _REVISION),
    "resume": Row(EDITORS, _REVISION),
    "begin_turn": Row(WRITERS, _REVISION),
    # Only who began a turn writes it: to all others it looks as if there were none.
    "token": Row(READERS, {"turn_id": "t", "text": "x"}),
    "end_turn": Row(WRITERS, {"turn_id": "t"}),
    "cancel": Row(EDITORS, {"turn_id": "t"}),
    "presence": Row(READERS, {"typing": True}),
    "share": Row(OWNERS, {"user_id": "somebody", "role": _VIEWER, **_REVISION}),
    "unshare": Row(OWNERS, {"user_id": "somebody", **_REVISION}),
    "make_link": Row(OWNERS, {"role": _VIEWER, **_REVISION}),
    "revoke_link": Row(OWNERS, {"link_id": "l", **_REVISION}),
    "transfer": Row(OWNERS, {"user_id": "somebody", **_REVISION}),
    "rewind": Row(OWNERS, {"to_seq": 1, **_REVISION}),
    "set_hold": Row(ADMINISTRATORS, {"held": True, **_REVISION}),
}
"""Every frame of a stream; what is said of a session needs an attachment first."""


def expected(row: Row, actor: str, state: str) -> str:
    """Return what this caller is told."""
    if actor in NOBODY:
        return UNKNOWN_CALLER
    if row.of == "session" and (state == "deleted" or not _sees(row, actor)):
        return ABSENT
    return MAY if actor in row.may else DENIED


def _sees(row: Row, actor: str) -> bool:
    return actor in row.may if row.may is LINK_HOLDER else actor in READERS
