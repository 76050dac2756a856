"""Google ADK's DatabaseSessionService, on Postgres or SQLite: `python -m bench.peers.adk TURN`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from sqlite3 import sqlite_version
from typing import Any
from uuid import uuid4

from google.adk.events.event import Event  # type: ignore[import-untyped]
from google.adk.sessions import DatabaseSessionService, Session  # type: ignore[import-untyped]
from google.adk.sessions.base_session_service import GetSessionConfig  # type: ignore[import-untyped]
from google.adk.sessions.schemas.v1 import StorageEvent  # type: ignore[import-untyped]
from google.genai import types  # type: ignore[import-untyped]
from sqlalchemy import insert, literal, select  # type: ignore[import-not-found]

from bench.peers.plan import Case, Plan, Turn
from bench.peers.turn import grown, loaded, main, numbers

PACKAGES = ("google-adk", "sqlalchemy", "asyncpg", "aiosqlite", "uvloop")
APP, USER, READER = "bench", "writer", "reader"

# SQLite has one writer at a time; connections that fight for its lock fail after five seconds.
# Nobody is turned away while waiting for one, however busy the machine is.
POOLS = {
    "postgresql": {"pool_size": 16, "max_overflow": 0, "pool_timeout": 600},
    "sqlite": {"pool_size": 1, "max_overflow": 0, "pool_timeout": 600},
}


class AdkSession:
    """A session as its only writer holds it."""

    def __init__(
        self,
        service: DatabaseSessionService,
        session: Session,
        messages: int,
        texts: Iterator[str],
    ) -> None:
        self.messages = messages
        self._service = service
        self._session = session
        self._texts = texts

    async def append(self) -> None:
        await self._service.append_event(self._session, event(next(self._texts)))
        self.messages += 1

    async def stored(self) -> int:
        found = await self._service.get_session(
            app_name=APP, user_id=USER, session_id=self._session.id
        )
        return len(found.events)


class Adk:
    """The service on one database."""

    def __init__(self, service: DatabaseSessionService, plan: Plan, texts: Iterator[str]) -> None:
        self._service = service
        self._plan = plan
        self._texts = texts

    async def prepare(self) -> Mapping[str, object]:
        for messages in self._plan.loads:
            await self._store(loaded(messages), messages)
        for messages in filter(None, self._plan.histories):
            await self._store(grown(messages, 0), messages)
            for number in range(1, max(self._plan.in_flight)):
                await self._copy(grown(messages, 0), grown(messages, number))
        for _ in range(self._plan.sessions):
            await self._service.create_session(app_name=APP, user_id=READER)
        return await self._settings()

    async def sessions(self, case: Case, repeat: int) -> Sequence[AdkSession]:
        opened = [await self._session(case.messages, number) for number in numbers(case, repeat)]
        if case.messages:  # it may have grown in an earlier turn
            opened[0].messages = await opened[0].stored()
        return opened

    async def load(self, messages: int) -> int:
        session = await self._service.get_session(
            app_name=APP, user_id=USER, session_id=loaded(messages)
        )
        return len(session.events)

    def listing(self) -> Callable[[], Awaitable[int]]:
        async def call() -> int:
            listed = await self._service.list_sessions(app_name=APP, user_id=READER)
            return len(listed.sessions)

        return call

    async def _session(self, messages: int, number: int) -> AdkSession:
        if not messages:
            session = await self._service.create_session(
                app_name=APP, user_id=USER, session_id=str(uuid4())
            )
            return AdkSession(self._service, session, 0, self._texts)
        # Without its messages: an append does not need them, and they would only fill the memory.
        session = await self._service.get_session(
            app_name=APP,
            user_id=USER,
            session_id=grown(messages, number),
            config=GetSessionConfig(num_recent_events=0),
        )
        return AdkSession(self._service, session, messages, self._texts)

    async def _store(self, session_id: str, messages: int) -> None:
        """Store what as many appends store, in one transaction, by the library's own mapping."""
        session = await self._service.create_session(
            app_name=APP, user_id=USER, session_id=session_id
        )
        async with self._service.database_session_factory.begin() as rows:
            rows.add_all(
                StorageEvent.from_event(session, event(next(self._texts))) for _ in range(messages)
            )

    async def _copy(self, original: str, session_id: str) -> None:
        await self._service.create_session(app_name=APP, user_id=USER, session_id=session_id)
        columns = StorageEvent.__table__.columns
        values = [literal(session_id) if each.name == "session_id" else each for each in columns]
        async with self._service.db_engine.begin() as connection:
            await connection.execute(
                insert(StorageEvent).from_select(
                    [each.name for each in columns],
                    select(*values).where(StorageEvent.session_id == original),
                )
            )

    async def _settings(self) -> Mapping[str, object]:
        engine = self._service.db_engine
        settings: dict[str, Any] = dict(POOLS[engine.dialect.name])
        if engine.dialect.name == "sqlite":
            settings["sqlite"] = sqlite_version
            async with engine.connect() as connection:
                for name in ("journal_mode", "synchronous"):
                    found = await connection.exec_driver_sql(f"PRAGMA {name}")
                    settings[name] = found.scalar_one()
        return settings


def event(text: str) -> Event:
    """Return a message as a user of ADK would append it."""
    content = types.Content(role="user", parts=[types.Part(text=text)])
    return Event(invocation_id=str(uuid4()), author="user", content=content)


@asynccontextmanager
async def opened(turn: Turn, texts: Iterator[str]) -> AsyncIterator[Adk]:
    pool = POOLS[turn.database.partition("+")[0]]
    async with DatabaseSessionService(turn.database, **pool) as service:
        yield Adk(service, turn.plan, texts)


if __name__ == "__main__":
    main(opened, PACKAGES)
