"""A browser's copy of a session: JSON snapshots and events, folded without any code of a server.

It knows the events that shows cause, and says so of any other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


class UnknownEvent(Exception):
    """An event that this fold knows nothing about."""


class Fold:
    """The session after the newest event that was taken.

    Attributes:
        session: as REST shows it; None before the first snapshot is whole.
    """

    def __init__(self) -> None:
        self.session: Json | None = None
        self._loading: Json | None = None

    @property
    def seq(self) -> int:
        """The seq that it stands at; 0 before the first snapshot."""
        return 0 if self.session is None else int(self.session["revision"])

    def take_snapshot(self, part: Mapping[str, Any]) -> None:
        """Take a part of a snapshot; the last one makes it the session."""
        if "state" in part:
            self._loading = {**part["state"]["session"], "conversationHistory": []}
        if self._loading is None:
            raise UnknownEvent("a snapshot began without its state")
        if "userInputs" in part:
            self._loading["userInputs"] = part["userInputs"]
        if "output" in part:
            output = part["output"]
            self._loading["agentOutputs"][output["outputId"]] = output["output"]
        if "messages" in part:
            self._loading["conversationHistory"] += part["messages"]["messages"]
        if part["last"]:
            self.session, self._loading = self._loading, None

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take the event that follows."""
        if self.session is None:
            raise UnknownEvent("an event came before the snapshot")
        session = self.session
        if "messageAppended" in event:
            appended = event["messageAppended"]
            session["conversationHistory"].append(appended["message"])
            if "title" in appended:
                session["title"] = appended["title"]
        elif "turnEnded" in event:
            if "message" in event["turnEnded"]:
                session["conversationHistory"].append(event["turnEnded"]["message"])
        elif "turnBegun" not in event:
            raise UnknownEvent(", ".join(event))
        session["lastActive"] = event["time"]
        session["revision"] = event["seq"]


def difference(held: Mapping[str, Any] | None, fresh: Mapping[str, Any]) -> str:
    """Return which fields differ between a copy and a fresh load; "" where none does."""
    if held is None:
        return "there is none"
    fields = [name for name in {**held, **fresh} if held.get(name) != fresh.get(name)]
    return ", ".join(fields)
