"""The settings of `make run`: environment variables, checked together before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.etcd import Place
from cluster.ports import is_free
from cluster.topology import Topology

PORTS = {
    "SESSIOND_GATEWAY_PORT": 8080,
    "SESSIOND_GATEWAY_METRICS_PORT": 9101,
    "SESSIOND_STORE_PORT": 7201,
    "SESSIOND_STORE_METRICS_PORT": 9201,
    "SESSIOND_LIVE_PORT": 7301,
    "SESSIOND_LIVE_METRICS_PORT": 9301,
    "SESSIOND_RETENTION_METRICS_PORT": 9401,
    "SESSIOND_SIGN_IN_PORT": 7401,
    "SESSIOND_ETCD_PORT": 7101,
}
# etcd's members talk on the port after its clients'; it has no setting of its own.
ETCD_PORT, ETCD_PEER = "SESSIOND_ETCD_PORT", "SESSIOND_ETCD_PORT + 1"


class BadSettings(Exception):
    """Settings that cannot be run with; the message has one line for each."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Where `make run` keeps its data, and the port of each part by the name of its setting."""

    data_dir: Path
    ports: Mapping[str, int]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> RunSettings:
        """Return the settings.

        Raises:
            BadSettings: some are no ports, two are the same, or this is to be production.
        """
        problems = []
        if environ.get("SESSIOND_ENV", "development") != "development":
            problems.append(
                f"SESSIOND_ENV={environ['SESSIOND_ENV']}: development keys serve development only"
            )
        ports: dict[str, int] = {}
        for setting, default in PORTS.items():
            given = environ.get(setting, str(default))
            # The last port is left to etcd's members.
            if given.isascii() and given.isdigit() and 1 <= int(given) <= 65534:
                ports[setting] = int(given)
            else:
                problems.append(f"{setting}={given} is not a port from 1 to 65534")
        if ETCD_PORT in ports:
            ports[ETCD_PEER] = ports[ETCD_PORT] + 1
        owners: dict[int, str] = {}
        for setting, port in ports.items():
            if (other := owners.setdefault(port, setting)) != setting:
                problems.append(f"{setting} and {other} are both {port}")
        if problems:
            raise BadSettings("\n".join(problems))
        return cls(data_dir_of(environ), ports)

    def check_free(self) -> None:
        """Return if every port is free.

        Raises:
            BadSettings: it names each taken port and the setting that moves the part elsewhere.
        """
        taken = [
            f"port {port} is taken: set {setting.removesuffix(' + 1')} to another one"
            for setting, port in self.ports.items()
            if not is_free(port)
        ]
        if taken:
            raise BadSettings("\n".join(taken))

    def topology(self) -> Topology:
        """Return one part of each kind, a page to sign in, and one example agent."""
        ports = self.ports
        return Topology(
            etcds=[Place(ports[ETCD_PORT], ports[ETCD_PEER])],
            stores=[Place(ports["SESSIOND_STORE_PORT"], ports["SESSIOND_STORE_METRICS_PORT"])],
            lives=[Place(ports["SESSIOND_LIVE_PORT"], ports["SESSIOND_LIVE_METRICS_PORT"])],
            gateways=[
                Place(ports["SESSIOND_GATEWAY_PORT"], ports["SESSIOND_GATEWAY_METRICS_PORT"])
            ],
            retentions=[ports["SESSIOND_RETENTION_METRICS_PORT"]],
            sign_in_port=ports["SESSIOND_SIGN_IN_PORT"],
            agents=1,
        )


def data_dir_of(environ: Mapping[str, str]) -> Path:
    """Return the absolute folder that holds the data, the keys and the logs."""
    return Path(environ.get("SESSIOND_DATA_DIR") or ".sessiond").resolve()
