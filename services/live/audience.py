"""Who follows a room: events to all of them at once, tokens and presence as they can take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from services.live.attachment import Attachment
from services.live.frames import encoded, event
from sessiond.errors import SessiondError
from sessiond.session.access import Actor
from sessiond.session.events import Record
from sessiond.session.standing import Rewound
from sessiond.v1.live_pb2 import Presence, PresentMember, ServerFrame

TOKENS_SECONDS = 0.02
"""Between two shows of a running turn's text; what is written meanwhile is shown together."""

PRESENCE_SECONDS = 0.2
"""Between two shows of who is here: a hundred that arrive together are shown once."""

TYPING_SECONDS = 6.0
"""How long somebody types who does not say so again."""

LISTED = 50
"""Callers that a presence frame names."""


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> None:
        """Let it not happen."""


Later = Callable[[float, Callable[[], None]], Timer]
"""Calls a function after so many seconds: an event loop's `call_later`."""


class Audience:
    """The subscribers of a room."""

    def __init__(self, session_id: str, later: Later) -> None:
        self._session_id = session_id
        self._later = later
        self._subscribers: dict[Attachment, None] = {}
        self._typing: dict[Attachment, Timer] = {}
        self._tokens_soon: Timer | None = None
        self._presence_soon: Timer | None = None
        self._closed = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._subscribers)

    def __iter__(self) -> Iterator[Attachment]:
        """Return them, as they are now."""
        return iter(tuple(self._subscribers))

    def join(self, attachment: Attachment) -> None:
        """Take a subscriber."""
        self._subscribers[attachment] = None
        self._presence_changed()

    def leave(self, attachment: Attachment) -> None:
        """Let it go."""
        if attachment in self._subscribers:
            del self._subscribers[attachment]
            self._stop_typing(attachment)
            self._presence_changed()

    def show(self, record: Record) -> None:
        """Show an event that is stored to all of them; it is encoded once."""
        if self._subscribers:
            frame = event(record, self._session_id)
            rewound = isinstance(record.event, Rewound)
            for attachment in self:  # one that cannot take it leaves meanwhile
                attachment.event(record.seq, frame)
                if rewound:
                    attachment.rewound()

    def tokens(self) -> None:
        """Show what was written in the running turn, soon."""
        if self._tokens_soon is None and self._subscribers:
            self._tokens_soon = self._later(TOKENS_SECONDS, self._show_tokens)

    def last_tokens(self) -> None:
        """Show what is left of it, now."""
        for attachment in self:
            attachment.last_tokens()

    def typing(self, attachment: Attachment, typing: bool) -> None:
        """Note that somebody types, or no longer."""
        if typing != attachment.typing:
            self._presence_changed()
        self._stop_typing(attachment)
        if typing:
            attachment.typing = True
            self._typing[attachment] = self._later(
                TYPING_SECONDS, lambda: self.typing(attachment, False)
            )

    def close(self, reason: SessiondError) -> None:
        """Tell all of them that it is over."""
        self._closed = True
        for timer in (self._tokens_soon, self._presence_soon, *self._typing.values()):
            if timer is not None:
                timer.cancel()
        for attachment in self:
            attachment.end(reason)

    # --- inside ------------------------------------------------------------------------------

    def _show_tokens(self) -> None:
        self._tokens_soon = None
        for attachment in self:
            attachment.tokens()

    def _stop_typing(self, attachment: Attachment) -> None:
        attachment.typing = False
        timer = self._typing.pop(attachment, None)
        if timer is not None:
            timer.cancel()

    def _presence_changed(self) -> None:
        if self._presence_soon is None and self._subscribers and not self._closed:
            self._presence_soon = self._later(PRESENCE_SECONDS, self._show_presence)

    def _show_presence(self) -> None:
        self._presence_soon = None
        here: dict[Actor, bool] = {}
        for attachment in self._subscribers:
            actor = attachment.identity.actor
            here[actor] = here.get(actor, False) or attachment.typing
        # Who types is named first, so that the bound hides the quiet ones.
        named = sorted(here.items(), key=lambda member: not member[1])[:LISTED]
        frame = encoded(
            ServerFrame(
                presence=Presence(
                    session_id=self._session_id,
                    members=[
                        PresentMember(
                            subject=actor.subject,
                            role=actor.role.value,
                            acting_for=actor.acting_for,
                            typing=typing,
                        )
                        for actor, typing in named
                    ],
                    count=len(here),
                )
            )
        )
        for attachment in self:
            attachment.presence(frame)
