"""The rules of messages: who says what, and what title it gives."""

from __future__ import annotations

from collections.abc import Callable

from sessiond.errors import Violations
from sessiond.session.access import Identity
from sessiond.session.changes import AppendMessage
from sessiond.session.checks import check_name, check_text
from sessiond.session.events import MessageAppended
from sessiond.session.jsontext import check_message_metadata
from sessiond.session.limits import Limits
from sessiond.session.senders import check_sender, sender_of, speaking_agent
from sessiond.session.state import MessageType, Sender, Session
from sessiond.session.title import title_of


def append_message(
    session: Session,
    change: AppendMessage,
    *,
    identity: Identity,
    new_id: Callable[[], str],
    limits: Limits,
) -> tuple[MessageAppended]:
    """Messages pass whatever the session's status; the first user's gives an absent title."""
    sender = sender_of(identity, change.sender)
    found = Violations()
    check_text(change.content, "content", found, limit=limits.content)
    if change.agent_id is not None:
        if sender is Sender.USER:
            found.add("agent_id", "must not be given for a user's message")
        check_name(change.agent_id, "agent_id", found, limit=limits.agent_id)
    check_message_metadata(change.metadata, found, limits)
    found.check()
    check_sender(identity, sender)
    agent = change.agent_id
    if sender is Sender.AGENT:
        agent = speaking_agent(identity, session, agent)
    title = None
    if not session.title and sender is Sender.USER:
        title = title_of(change.content) or None
    return (
        MessageAppended(
            id=new_id(),
            sender=sender,
            type=change.type or MessageType.TEXT,
            content=change.content,
            agent_id=agent,
            metadata=change.metadata,
            title=title,
        ),
    )
