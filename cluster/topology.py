"""How many of each part, and where: the README's picture as a list of parts to run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from cluster.etcd import GIB, Place, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.keys import ALGORITHM, AUDIENCE, ISSUER, PARTS_WITH_IDENTITY, DevelopmentKeys
from cluster.part import Part
from cluster.ports import HOST
from cluster.processes import CHECKOUT

MODULES = {"store": "services.store", "live": "services.live", "gateway": "gateway"}


def agents_of(workflows: Path) -> list[str]:
    """Return the names of all agents that the workflow files in a folder give work to."""
    names = set()
    for path in workflows.glob("*.yaml"):
        workflow = yaml.safe_load(path.read_text())
        names |= {step["agent"] for step in workflow.get("steps", ())}
        names |= {workflow["agent"]} if "agent" in workflow else set()
    return sorted(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Where each part of a one-machine cluster serves; a kind without places does not run.

    `retentions` are the ports at which each retention tells its metrics: it serves nowhere.
    `sign_in_port` is where the development sign-in serves; 0: it does not run.
    `agents` is how many example agents run: they serve nowhere.
    `settings` adds `SESSIOND_*` variables to every part of a kind, over the ones given here:
    `{"live": {"SESSIOND_IDLE_SECONDS": "1"}}`.
    """

    etcds: Sequence[Place] = ()
    stores: Sequence[Place] = ()
    lives: Sequence[Place] = ()
    gateways: Sequence[Place] = ()
    retentions: Sequence[int] = ()
    sign_in_port: int = 0
    agents: int = 0
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    quota_bytes: int = 8 * GIB

    @classmethod
    def anywhere(
        cls,
        ports: Iterator[int],
        *,
        etcds: int = 1,
        stores: int = 1,
        lives: int = 1,
        gateways: int = 1,
        retentions: int = 0,
        sign_in: bool = False,
        agents: int = 0,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        quota_bytes: int = 8 * GIB,
    ) -> Topology:
        """Return a topology of so many parts on the given free ports."""

        def places(count: int) -> list[Place]:
            return [Place(next(ports), next(ports)) for _ in range(count)]

        return cls(
            etcds=places(etcds),
            stores=places(stores),
            lives=places(lives),
            gateways=places(gateways),
            retentions=[next(ports) for _ in range(retentions)],
            sign_in_port=next(ports) if sign_in else 0,
            agents=agents,
            settings=settings or {},
            quota_bytes=quota_bytes,
        )

    def stages(
        self,
        *,
        binary: EtcdBinary,
        keys: DevelopmentKeys,
        data_dir: Path,
        environ: Mapping[str, str],
    ) -> list[list[Part]]:
        """Return the parts in the order in which they come up: etcd, Store, Live, gateway, agents.

        The sign-in comes up beside the gateway, whose page sends browsers there, and so does
        retention, which needs the same parts.
        Parts inherit `environ`; what makes them find one another is set over it.
        """
        stores = ",".join(place.address for place in self.stores)
        lives = ",".join(place.address for place in self.lives)
        etcds = ",".join(place.address for place in self.etcds)
        identity = {
            part: {"SESSIOND_IDENTITY_TOKEN_FILE": str(keys.part_token_file(part))}
            for part in PARTS_WITH_IDENTITY
        }
        common = {
            **environ,
            "SESSIOND_ENV": "development",
            "SESSIOND_JWT_ISSUER": ISSUER,
            "SESSIOND_JWT_AUDIENCE": AUDIENCE,
            "SESSIOND_JWT_ALGORITHMS": ALGORITHM,
            "SESSIOND_JWT_JWKS": str(keys.jwks),
        }
        store = {
            **common,
            "SESSIOND_ETCD_ENDPOINTS": etcds,
            "SESSIOND_ETCD_QUOTA_BYTES": str(self.quota_bytes),
        }
        live = {**common, **identity["live"], "SESSIOND_STORE_ADDRESSES": stores}
        gateway = {
            **common,
            **identity["gateway"],
            "SESSIOND_STORE_ADDRESSES": stores,
            "SESSIOND_LIVE_ADDRESSES": lives,
        }
        retention = {
            **common,
            **identity["retention"],
            "SESSIOND_STORE_ADDRESSES": stores,
            "SESSIOND_LIVE_ADDRESSES": lives,
        }
        if self.sign_in_port:
            gateway["SESSIOND_SIGN_IN_URL"] = f"http://{HOST}:{self.sign_in_port}/sign-in"
        return [
            etcd_parts(
                binary, self.etcds, data_dir / "etcd", environ, quota_bytes=self.quota_bytes
            ),
            self._parts("store", self.stores, store),
            self._parts("live", self.lives, live),
            [
                *self._parts("gateway", self.gateways, gateway),
                *self._sign_in(keys, environ),
                *self._retentions(retention),
            ],
            self._agents(keys, lives, stores, environ),
        ]

    def _sign_in(self, keys: DevelopmentKeys, environ: Mapping[str, str]) -> list[Part]:
        if not self.sign_in_port:
            return []
        address = f"{HOST}:{self.sign_in_port}"
        return [
            Part(
                name="sign-in-1",
                address=address,
                argv=(
                    *(sys.executable, "-m", "cluster.sign_in"),
                    f"--port={self.sign_in_port}",
                    f"--keys={keys.folder}",
                    *(f"--gateway=http://{place.address}" for place in self.gateways),
                ),
                env=environ,
                ready_url=f"http://{address}/readyz",
            )
        ]

    def _retentions(self, env: Mapping[str, str]) -> list[Part]:
        return [
            Part(
                name=f"retention-{number}",
                address="",
                argv=(sys.executable, "-m", "services.retention"),
                env={
                    **env,
                    "SESSIOND_METRICS_LISTEN": f"{HOST}:{port}",
                    **self.settings.get("retention", {}),
                },
                ready_url=f"http://{HOST}:{port}/readyz",
            )
            for number, port in enumerate(self.retentions, start=1)
        ]

    def _agents(
        self, keys: DevelopmentKeys, lives: str, stores: str, environ: Mapping[str, str]
    ) -> list[Part]:
        if not self.agents:
            return []
        names = agents_of(CHECKOUT / (environ.get("SESSIOND_WORKFLOWS_DIR") or "workflows"))
        env = {
            **environ,
            "SESSIOND_LIVE": lives,
            "SESSIOND_STORE": stores,
            "SESSIOND_AGENTS": ",".join(names),
            "SESSIOND_TOKEN_FILE": str(keys.agent_token_file(names)),
            **self.settings.get("agent", {}),
        }
        return [
            Part(
                name=f"agent-{number}",
                address="",
                argv=(sys.executable, "-m", "examples.agent"),
                env=env,
                ready_url="",
            )
            for number in range(1, self.agents + 1)
        ]

    def _parts(self, kind: str, places: Sequence[Place], env: Mapping[str, str]) -> list[Part]:
        return [
            Part(
                name=f"{kind}-{number}",
                address=place.address,
                argv=(sys.executable, "-m", MODULES[kind]),
                env={
                    **env,
                    **(
                        {"SESSIOND_ADVERTISE": place.address}
                        if kind == "live" and place.door
                        else {}
                    ),
                    "SESSIOND_LISTEN": f"{HOST}:{place.port}",
                    "SESSIOND_METRICS_LISTEN": f"{HOST}:{place.other}",
                    **self.settings.get(kind, {}),
                },
                ready_url=f"http://{HOST}:{place.other}/readyz",
            )
            for number, place in enumerate(places, start=1)
        ]
