"""Who may speak as whom: senders of messages, and the agents that messages and outputs name."""

from __future__ import annotations

from collections.abc import Mapping

from sessiond.errors import PermissionDenied
from sessiond.session.access import Identity, Role
from sessiond.session.state import Sender, Session

MAY_SEND_AS: Mapping[Role, frozenset[Sender]] = {
    Role.USER: frozenset({Sender.USER}),
    Role.AGENT: frozenset({Sender.AGENT}),
    Role.SERVICE: frozenset(Sender),
    Role.ADMIN: frozenset(Sender),
    Role.LIVE: frozenset(),
    Role.GATEWAY: frozenset(),
}
_SENDS_AS: Mapping[Role, Sender] = {
    role: Sender.AGENT if role is Role.AGENT else Sender.USER for role in Role
}


def sender_of(identity: Identity, asked: Sender | None) -> Sender:
    """Return who sends: as asked, and otherwise the agent for agents and the user for the rest."""
    return _SENDS_AS[identity.role] if asked is None else asked


def check_sender(identity: Identity, sender: Sender) -> None:
    """Return if the caller may send as this.

    Raises:
        PermissionDenied: the caller's role may not.
    """
    if sender not in MAY_SEND_AS[identity.role]:
        raise PermissionDenied(f"You may not send as {sender.value}.")


def speaking_agent(identity: Identity, session: Session, asked: str | None) -> str | None:
    """Return the agent that a message or an output is by: as asked, else the current agent.

    None only when nobody was asked for and the session, completed, has no current agent. An agent
    may speak as those that its token names, and as the current one where the token names the
    session; callers of other roles speak for any agent.

    Raises:
        PermissionDenied: the caller is an agent and may not speak as this one.
    """
    agent = session.current_agent or None if asked is None else asked
    if identity.role is not Role.AGENT or agent in identity.agents:
        return agent
    if session.id in identity.sessions and agent in (None, session.current_agent):
        return agent
    raise PermissionDenied("You may not speak as this agent.")
