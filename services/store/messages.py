"""Pages of a session's messages, oldest or newest first.

Records never change, so a page need not be read at the revision of the first one: it is enough
that no page looks beyond the message that was newest then. Such pages never expire, except with
the session itself, and where it was rewound since.
"""

from __future__ import annotations

from contextlib import aclosing

from services.store.answers import RevisionCompacted
from services.store.entering import entered
from services.store.repository import Repository
from services.store.tokens import Fact, seal, unseal
from services.store.transcript import Transcript, add_message
from sessiond.errors import InvalidArgument, PageTokenExpired, Unavailable
from sessiond.session.access import Identity
from sessiond.store.codec import StoredHead
from sessiond.v1 import store_pb2

_TRIES = 3

# A client that was told nothing receives 4 MiB in one message; its frame and the token need room.
_PAGE_BYTES = 4 * 1024 * 1024 - 16 * 1024
# By how much a message may be longer than its record, which holds all of it but the session's id.
_MORE_BYTES = 64

# The first record creates the session.
_FIRST_SEQ = 2


async def list_messages(
    repository: Repository,
    identity: Identity,
    session_id: str,
    *,
    page_size: int,
    page_token: str | None,
    newest_first: bool,
) -> store_pb2.ListMessagesResponse:
    """Return a page of at most `page_size` messages and 4 MiB, but at least one if there is any.

    Raises:
        SessionNotFound: no such session, or not the caller's.
        InvalidArgument: the page token is not one of this query.
        PageTokenExpired: the session was rewound since, or deleted and another one made under its
            id.
    """
    for _ in range(_TRIES):
        snapshot, head = await entered(repository, identity, session_id)
        span = _Span.of(session_id, head, page_token, newest_first=newest_first)
        transcript = Transcript(repository, session_id, snapshot, head)
        try:
            return await _page(transcript, span, page_size)
        except RevisionCompacted:
            continue
    raise Unavailable


class _Span:
    """What is left to page through: the seqs `first` to `last`, from one end or the other."""

    def __init__(
        self, session_id: str, head: StoredHead, first: int, last: int, *, newest_first: bool
    ) -> None:
        self.session_id = session_id
        self.log_id = head.meta.log_id
        self.rewound_seq = head.conversation.rewound_seq
        self.first = first
        self.last = last
        self.newest_first = newest_first

    @classmethod
    def of(
        cls, session_id: str, head: StoredHead, page_token: str | None, *, newest_first: bool
    ) -> _Span:
        """Return what a page token left; all of it without one."""
        first, last = _FIRST_SEQ, head.last_message_seq
        if page_token:
            query = _query(session_id, newest_first=newest_first)
            facts = unseal(page_token, query, (int, int, int, int), field="page_token")
            log_id, rewound_seq, first, last = map(_int, facts)
            if (log_id, rewound_seq) != (head.meta.log_id, head.conversation.rewound_seq):
                raise PageTokenExpired
            if not _FIRST_SEQ <= first <= last <= head.last_message_seq:
                raise InvalidArgument.of("page_token", "must be one that this query was given")
        return cls(session_id, head, first, last, newest_first=newest_first)

    def token_from(self, seq: int) -> str:
        """Return the token of the page that begins with this message."""
        first, last = (self.first, seq) if self.newest_first else (seq, self.last)
        query = _query(self.session_id, newest_first=self.newest_first)
        return seal(query, [self.log_id, self.rewound_seq, first, last])


async def _page(
    transcript: Transcript, span: _Span, page_size: int
) -> store_pb2.ListMessagesResponse:
    page = store_pb2.ListMessagesResponse()
    messages = page.messages
    size, beside = 0, len(span.session_id) + _MORE_BYTES
    read = transcript.backward if span.newest_first else transcript.forward
    # One more than the page tells whether there is a next page.
    async with aclosing(read(span.first, span.last, messages=page_size + 1)) as runs:
        async for run in runs:
            for record in run:
                if not add_message(messages, record, span.session_id):
                    continue
                size += len(record) + beside
                if len(messages) > page_size or (size > _PAGE_BYTES and len(messages) > 1):
                    page.next_page_token = span.token_from(messages[-1].seq)
                    del messages[-1]
                    return page
    return page


def _query(session_id: str, *, newest_first: bool) -> list[Fact]:
    return ["messages", session_id, "desc" if newest_first else "asc"]


def _int(fact: Fact) -> int:
    assert isinstance(fact, int)
    return fact
