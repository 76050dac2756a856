"""etcd members as parts: one for a laptop and the tests, several for a cluster."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from cluster.part import Part
from cluster.ports import HOST

GIB = 1024**3
# Milliseconds. A single member elects itself, so it need not wait a second for rivals; several
# need room for a slow disk and still notice a dead leader in half a second.
ALONE = ("--heartbeat-interval=10", "--election-timeout=50")
TOGETHER = ("--heartbeat-interval=50", "--election-timeout=500", "--pre-vote=true")


@dataclass(frozen=True, slots=True)
class Place:
    """Two ports of one part: where it serves, and its other one (etcd: peers, else: metrics).

    The others reach it at `door` and `other_door`: ports of something that stands before it and
    passes on, as a relay does. 0 stands for no such thing.
    """

    port: int
    other: int
    door: int = 0
    other_door: int = 0

    @property
    def address(self) -> str:
        """The host:port at which the others reach it."""
        return f"{HOST}:{self.door or self.port}"

    @property
    def other_address(self) -> str:
        """The host:port at which the others reach its other port."""
        return f"{HOST}:{self.other_door or self.other}"


@dataclass(frozen=True, slots=True)
class EtcdTls:
    """PEM files that make etcd serve TLS and ask its clients for certificates.

    `client_cert` and `client_key` are those with which the supervisor asks for its health.
    """

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path

    def flags(self) -> tuple[str, ...]:
        """Return the server's flags."""
        return (
            f"--cert-file={self.cert}",
            f"--key-file={self.key}",
            f"--trusted-ca-file={self.ca}",
            "--client-cert-auth=true",
        )

    def trust(self) -> ssl.SSLContext:
        """Return how a client speaks to this server."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client_cert, self.client_key)
        return context


def etcd_parts(
    binary: EtcdBinary,
    places: Sequence[Place],
    data_dir: Path,
    environ: Mapping[str, str],
    *,
    quota_bytes: int = 8 * GIB,
    tls: EtcdTls | None = None,
    flags: Sequence[str] = (),
) -> list[Part]:
    """Return one cluster of as many members as places, `etcd-1` and on.

    Member n keeps its data in `<data_dir>/etcd-<n>` and finds it there again. Writes are synced to
    disk, always. A member is ready when it answers a read that needs a quorum. `flags` are etcd's
    own, for all members, over ours.
    """
    scheme = "http" if tls is None else "https"
    # etcd refuses to start when one of its own variables stands beside the same flag.
    env = {name: value for name, value in environ.items() if not name.startswith("ETCD_")}
    names = [f"etcd-{number}" for number in range(1, len(places) + 1)]
    peers = {
        name: f"http://{place.other_address}" for name, place in zip(names, places, strict=True)
    }
    shared = (
        "--initial-cluster=" + ",".join(f"{name}={url}" for name, url in peers.items()),
        "--initial-cluster-state=new",
        "--initial-cluster-token=sessiond",
        f"--quota-backend-bytes={quota_bytes}",
        "--logger=zap",
        "--log-level=warn",
        *(ALONE if len(places) == 1 else TOGETHER),
        *(tls.flags() if tls else ()),
        *flags,
    )
    parts = []
    for name, place in zip(names, places, strict=True):
        listen = f"{scheme}://{HOST}:{place.port}"
        own = (
            f"--name={name}",
            f"--data-dir={data_dir / name}",
            f"--listen-client-urls={listen}",
            f"--advertise-client-urls={scheme}://{place.address}",
            f"--listen-peer-urls=http://{HOST}:{place.other}",
            f"--initial-advertise-peer-urls={peers[name]}",
        )
        parts.append(
            Part(
                name=name,
                address=place.address,
                argv=(str(binary.path), *own, *shared),
                env=env,
                ready_url=f"{listen}/health",
                trust=tls.trust() if tls else None,
                # A leader spends six seconds on handing over to members that are going down too.
                # What it acknowledged is on disk, so killing it loses nothing.
                drain_seconds=1.0,
            )
        )
    return parts
