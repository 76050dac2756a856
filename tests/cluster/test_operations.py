"""What docs/operations.md tells an operator to type, typed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.etcd import Place, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.keys import ALGORITHM, AUDIENCE, ISSUER, DevelopmentKeys
from cluster.supervisor import Cluster
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.session.access import Identity
from sessiond.session.changes import CreateSession
from sessiond.store.codec import decode_head
from tests.e2e.system import plain_environ
from tests.store.author import Author
from tests.store.conftest import Clock, sessions_of

ROOT = Path(__file__).resolve().parents[2]


async def typed(script: str, environ: dict[str, str]) -> str:
    """Return what a shell prints for a script, which must end well."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-u", "-o", "pipefail", "-c", script),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said = (await shell.communicate())[0].decode()
    assert shell.returncode == 0, f"{script}\n{said}"
    return said


async def test_every_command_of_the_operations_page_works(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Look, repair, defragment, disarm, save, restore, renew the logs, ask who everybody is."""
    page = (ROOT / "docs/operations.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    look, fix, defragment, disarm, save, restore, renew, guard, change_password = blocks
    place = Place(next(ports), next(ports))
    peer = f"http://{place.other_address}"
    environ = {
        **plain_environ(),
        "PATH": f"{etcd_binary.path.parent}:{plain_environ()['PATH']}",
        "ETCDCTL_API": "3",
        "ETCDCTL_ENDPOINTS": place.address,
        "SESSIOND_ETCD_ENDPOINTS": place.address,
        "SESSIOND_JWT_ISSUER": ISSUER,
        "SESSIOND_JWT_AUDIENCE": AUDIENCE,
        "SESSIOND_JWT_ALGORITHMS": ALGORITHM,
        "SESSIOND_JWT_JWKS": str(DevelopmentKeys(tmp_path / "keys").jwks),
        "BACKUP": str(tmp_path / "backup.db"),
        "MEMBER": "etcd-1",
        "PEER": peer,
        "CLUSTER": f"etcd-1={peer}",
        "DATA": str(tmp_path / "restored" / "etcd-1"),
    }

    def member(home: str) -> Cluster:
        parts = etcd_parts(etcd_binary, [place], tmp_path / home, environ)
        return Cluster([parts], logs=tmp_path / "logs")

    async with (
        member("first"),
        EtcdClient([place.address]) as etcd,
        EtcdRepository(etcd) as repository,
    ):
        author = Author(repository)
        author.lease = await repository.register(author.instance, address="l:1", ttl_seconds=60)
        change = CreateSession(workflow_id="chat", id="s-1")
        await sessions_of(repository, Clock()).create(Identity("alice"), change, None)
        await author.say("s-1", "kept")
        assert "1 sessions, 2 records, 1 entries, " in await typed(look, environ)
        await etcd.delete(b"user:", b"user;")
        assert "1 findings, 1 repaired" in await typed(fix, environ)
        await typed(defragment, environ)
        assert "healthy" in await typed(disarm, environ)
        # One registration is in the backup, and outlives the restore for a moment.
        await repository.register(b"in-the-backup---", address="l:1", ttl_seconds=2)
        await typed(save, environ)
        author.instance = b"after-the-backup"
        author.lease = await repository.register(author.instance, address="l:1", ttl_seconds=60)
        await author.say("s-1", "after the backup")
        snapshot = await repository.snapshot("s-1")
        assert snapshot is not None
        before = decode_head(snapshot.head)
    await typed(restore, environ)
    async with (
        member("restored"),
        EtcdClient([place.address]) as etcd,
        EtcdRepository(etcd) as repository,
    ):
        said = await typed(renew, environ)
        assert "1 logs have new ids" in said and "all is well" in said
        snapshot = await repository.snapshot("s-1")
        assert snapshot is not None
        after = decode_head(snapshot.head)
        assert (before.seq, after.seq) == (3, 2)
        assert before.meta.log_id != after.meta.log_id
        await etcd_asks_for_users(
            guard, change_password, (look, defragment, save), environ, tmp_path
        )


async def etcd_asks_for_users(
    guard: str, change: str, rest: Sequence[str], environ: dict[str, str], folder: Path
) -> None:
    """Enable authentication, change the password, and do the rest of the page once more."""
    root, password = folder / "root-password", folder / "password"
    root.write_text("first\n")
    password.write_text("second\n")
    ours = {
        **environ,
        "ROOT_PASSWORD": str(root),
        "PASSWORD": str(password),
        "NAMESPACE": "",
        "SESSIOND_ETCD_USERNAME": "sessiond",
        "SESSIOND_ETCD_PASSWORD_FILE": str(password),
    }
    await typed(guard, ours)
    look, *others = rest
    assert "1 sessions, " in await typed(look, ours)
    by_root = {**ours, "ETCDCTL_USER": "root:first"}
    for command in others:
        await typed(command, by_root)
    password.write_text("third\n")
    said = await typed(f"{look.strip()} || test $? = 2", ours)
    assert "authentication failed" in said and "third" not in said
    await typed(change, by_root)
    assert "all is well" in await typed(look, ours)
