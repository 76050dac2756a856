"""LangGraph with its checkpointer on Postgres: `python -m bench.peers.langgraph TURN`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage  # type: ignore[import-not-found]
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # type: ignore[import-not-found]
from langgraph.graph import START, MessagesState, StateGraph  # type: ignore[import-not-found]
from psycopg.rows import dict_row  # type: ignore[import-not-found]
from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found]

from bench.peers.plan import Case, Plan, Turn
from bench.peers.turn import grown, loaded, main, numbers

PACKAGES = ("langgraph", "langgraph-checkpoint-postgres", "psycopg", "psycopg-pool", "uvloop")

# A saver does one thing at a time, however many connections it may use: so many savers.
CONNECTIONS = 16
SAVERS = 16


class Thread:
    """A thread as its only writer holds it."""

    def __init__(self, graph: Any, thread_id: str, messages: int, texts: Iterator[str]) -> None:
        self.messages = messages
        self._graph = graph
        self._config = {"configurable": {"thread_id": thread_id}}
        self._texts = texts

    async def append(self) -> None:
        await self.put(1)
        self.messages += 1

    async def put(self, messages: int) -> None:
        """Store so many more messages in one checkpoint; return once that is committed."""
        new = [HumanMessage(next(self._texts)) for _ in range(messages)]
        await self._graph.ainvoke({"messages": new}, self._config, durability="exit")

    async def stored(self) -> int:
        found = await self._graph.checkpointer.aget_tuple(self._config)
        return len(found.checkpoint["channel_values"]["messages"])


class LangGraph:
    """A graph of one channel and one node that does nothing, compiled for each saver."""

    def __init__(self, graphs: Sequence[Any], plan: Plan, texts: Iterator[str]) -> None:
        self._graphs = graphs
        self._plan = plan
        self._texts = texts

    async def prepare(self) -> Mapping[str, object]:
        await self._graphs[0].checkpointer.setup()
        for messages in self._plan.loads:
            await self._thread(loaded(messages)).put(messages)
        for messages in filter(None, self._plan.histories):
            for number in range(max(self._plan.in_flight)):
                await self._thread(grown(messages, number)).put(messages)
        return {"connections": CONNECTIONS, "savers": SAVERS, "durability": "exit"}

    async def sessions(self, case: Case, repeat: int) -> Sequence[Thread]:
        threads = [self._writer(case.messages, number) for number in numbers(case, repeat)]
        if case.messages:  # it may have grown in an earlier turn
            threads[0].messages = await threads[0].stored()
        return threads

    async def load(self, messages: int) -> int:
        return await self._thread(loaded(messages)).stored()

    def listing(self) -> None:
        return None

    def _writer(self, messages: int, number: int) -> Thread:
        if messages:
            return self._thread(grown(messages, number), number)
        return self._thread(str(uuid4()), number)

    def _thread(self, thread_id: str, number: int = 0) -> Thread:
        return Thread(self._graphs[number % len(self._graphs)], thread_id, 0, self._texts)


@asynccontextmanager
async def opened(turn: Turn, texts: Iterator[str]) -> AsyncIterator[LangGraph]:
    # As the checkpointer's own documentation opens them.
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda _: None)
    builder.add_edge(START, "agent")
    async with AsyncConnectionPool(
        turn.database, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=settings
    ) as pool:
        graphs = [builder.compile(checkpointer=AsyncPostgresSaver(pool)) for _ in range(SAVERS)]
        yield LangGraph(graphs, turn.plan, texts)


if __name__ == "__main__":
    main(opened, PACKAGES)
