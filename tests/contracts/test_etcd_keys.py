"""What stands in etcd, as anybody else reads it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys

from cluster.etcd_binary import EtcdBinary
from cluster.supervisor import Cluster
from services.store.repository import Repository
from services.store.writes import DraftWrite
from tests.contracts.chats import (
    START_MS,
    Chat,
    all_drafts,
    all_records,
    listed,
    new_chat,
    now,
)
from tests.contracts.places import EtcdPlace, on_etcd

# `etcd3` is another etcd client, of 2020; it needs protobuf's Python implementation, which one
# process cannot have beside the usual one.
WITNESS = """
import base64, json, sys
import etcd3

host, port, *prefixes = sys.argv[1:]
client = etcd3.client(host=host, port=int(port))
found = {
    meta.key.decode(): base64.b64encode(value).decode()
    for prefix in prefixes
    for value, meta in client.get_prefix(prefix)
}
json.dump(found, sys.stdout)
"""


async def output_of(*argv: str, **env: str) -> str:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *argv, env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        stdout, _ = await process.communicate()
    assert process.returncode == 0
    return stdout.decode()


async def conversation(repository: Repository) -> Chat:
    """Write something under every key there is."""
    chat = await new_chat(repository, "abc-123", user_id="alice")
    commit = chat.commit(b"two", outputs=b"table", position_ms=START_MS + 999, agent="planner")
    await chat.write(repository, commit)
    await chat.write(repository, chat.drafting(DraftWrite("t-1", 1, b"Once upon")))
    await repository.put_template("alice", "plan", b"template")
    strange = await new_chat(repository, "of-strange", user_id="a:b%", instance=chat.instance)
    await strange.write(repository, strange.commit(b"two"))
    return chat


async def test_etcdctl_shows_the_documented_keys(
    own_etcd: Cluster, etcd_binary: EtcdBinary
) -> None:
    """Without a namespace the keys stand in etcd to the letter as the documents name them."""
    address = own_etcd.address("etcd-1")
    async with on_etcd(address, "") as place:
        chat = await conversation(place.repository)
        await place.repository.commit([chat.commit(b"three")])

    async def keys(prefix: str) -> list[str]:
        etcdctl = str(etcd_binary.path.with_name("etcdctl"))
        endpoint = f"--endpoints={address}"
        shown = await output_of(
            etcdctl, endpoint, "get", "--prefix", prefix, "--keys-only", ETCDCTL_API="3"
        )
        return shown.split()

    assert await keys("session:") == [
        "session:abc-123",
        "session:abc-123:draft:t-1:0000000001",
        "session:abc-123:event:0000000001",
        "session:abc-123:event:0000000002",
        "session:abc-123:event:0000000003",
        "session:abc-123:outputs",
        "session:of-strange",
        "session:of-strange:event:0000000001",
        "session:of-strange:event:0000000002",
    ]
    assert await keys("user:") == [
        "user:a%3Ab%25:sessions:8299999999999:of-strange",
        "user:alice:sessions:8299999999000:abc-123",
        "user:alice:template:plan",
    ]
    assert await keys("agent:") == ["agent:planner:abc-123"]
    assert await keys("live:") == [f"live:{chat.instance.hex()}"]
    assert len(await keys("")) == 14


async def test_another_client_reads_what_we_wrote(etcd_place: EtcdPlace) -> None:
    """The etcd3 package sees the same keys with the same bytes as the repository gives."""
    repository = etcd_place.repository
    await conversation(repository)
    namespace = etcd_place.namespace
    host, port = etcd_place.etcd.endpoint.split(":")
    found = json.loads(
        await output_of(
            *(sys.executable, "-W", "ignore", "-c", WITNESS, host, port),
            *(f"{namespace}{kind}" for kind in ("session:abc-123", "user:alice:", "agent:")),
            PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python",
        )
    )
    seen = {key.removeprefix(namespace): base64.b64decode(value) for key, value in found.items()}
    head = await now(repository, "abc-123")
    first, second = await all_records(repository, "abc-123")
    page = await repository.entries("alice", after=None, limit=1, revision=None)
    assert seen == {
        "session:abc-123": head.head,
        "session:abc-123:draft:t-1:0000000001": b"Once upon",
        "session:abc-123:event:0000000001": first,
        "session:abc-123:event:0000000002": second,
        "session:abc-123:outputs": head.outputs,
        "user:alice:sessions:8299999999000:abc-123": page.entries[0].value,
        "user:alice:template:plan": b"template",
        "agent:planner:abc-123": page.entries[0].value,
    }
    assert await all_drafts(repository, "abc-123", "t-1") == [b"Once upon"]
    assert await listed(repository, "a:b%") == ["of-strange"]
