"""Finds the shape of an append: our parts make some, and what they stored and sent is measured."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.floors.shape import PLACE, Shape
from bench.frames import Author
from bench.product import Product
from bench.streams import Lane, read
from services.store.etcd.etcd_pb2 import KeyValue
from services.store.etcd.etcd_pb2_grpc import KVStub
from services.store.etcd.transactions import read as read_keys
from services.store.keys import Keys, Span
from sessiond.v1.live_pb2 import ServerFrame

KEYS = Keys()
_USER = "one-who-shows"
_APPENDS = 40


async def shape_of_an_append(product: Product) -> Shape:
    """Append some messages to a session of its own, and return the mean sizes."""
    system = product.system
    author = Author(await product.create(_USER), product.texts[0])
    call = await product.road.open(Lane(system.calling(_USER), [author]))
    frame, came = b"", b""
    for _ in range(_APPENDS):
        came, kinds = b"", set[str]()
        frame = author.append(time.perf_counter())
        await call.write(frame)
        while not {"event", "reply"} <= kinds:  # together, or one after the other
            data = await read(call)
            came += data
            kinds |= {str(each.WhichOneof("frame")) for each in ServerFrame.FromString(data).batch}
    call.cancel()
    kv = KVStub(system.channel("etcd-1"))

    async def values(span: Span) -> Sequence[KeyValue]:
        return (await kv.Range(read_keys(*span))).kvs

    records = await values(KEYS.events(author.session_id, 2, _APPENDS + 1))
    head = await values(Span(KEYS.head(author.session_id), b""))
    entry = await values(KEYS.entries(_USER))
    session_id = author.session_id.encode()
    return Shape(
        frame=len(frame),
        session_at=frame.index(session_id),
        record=round(sum(len(each.value) for each in records) / len(records)),
        head=len(head[0].value),
        entry=len(entry[0].value),
        acknowledgement=came.replace(session_id, PLACE.encode()).hex(),
    )
