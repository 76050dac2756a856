"""A topology says who finds whom where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cluster.etcd import Place
from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.part import Part
from cluster.topology import Topology


def parts_of(topology: Topology, binary: EtcdBinary, home: Path) -> Mapping[str, Part]:
    keys = DevelopmentKeys(home / "keys")
    stages = topology.stages(binary=binary, keys=keys, data_dir=home, environ=os.environ)
    return {part.name: part for stage in stages for part in stage}


def test_who_stands_behind_a_door_is_reached_through_it(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """A part listens at its own port, and everybody else is told the door's."""
    topology = Topology(
        etcds=[Place(1001, 1002, door=2001, other_door=2002)],
        stores=[Place(1003, 1004, door=2003)],
        lives=[Place(1005, 1006, door=2005)],
        gateways=[Place(1007, 1008, door=2007)],
    )
    parts = parts_of(topology, etcd_binary, tmp_path)

    assert [part.address for part in parts.values()] == [
        f"127.0.0.1:{port}" for port in (2001, 2003, 2005, 2007)
    ]
    etcd = parts["etcd-1"].argv
    assert "--listen-client-urls=http://127.0.0.1:1001" in etcd
    assert "--advertise-client-urls=http://127.0.0.1:2001" in etcd
    assert "--listen-peer-urls=http://127.0.0.1:1002" in etcd
    assert "--initial-advertise-peer-urls=http://127.0.0.1:2002" in etcd
    assert "--initial-cluster=etcd-1=http://127.0.0.1:2002" in etcd
    assert parts["etcd-1"].ready_url == "http://127.0.0.1:1001/health"
    assert parts["store-1"].env["SESSIOND_LISTEN"] == "127.0.0.1:1003"
    assert parts["store-1"].env["SESSIOND_ETCD_ENDPOINTS"] == "127.0.0.1:2001"
    assert parts["live-1"].env["SESSIOND_ADVERTISE"] == "127.0.0.1:2005"
    assert parts["live-1"].env["SESSIOND_STORE_ADDRESSES"] == "127.0.0.1:2003"
    assert parts["gateway-1"].env["SESSIOND_LIVE_ADDRESSES"] == "127.0.0.1:2005"


def test_browsers_sign_in_where_the_gateway_says_and_come_back_to_its_door(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Sign-in is told every origin at which a gateway is reached, and tokens go nowhere else."""
    gateways = [Place(1007, 1008), Place(1009, 1010, door=2009)]
    parts = parts_of(Topology(gateways=gateways, sign_in_port=1011), etcd_binary, tmp_path)

    for name in ("gateway-1", "gateway-2"):
        assert parts[name].env["SESSIOND_SIGN_IN_URL"] == "http://127.0.0.1:1011/sign-in"
    sign_in = parts["sign-in-1"]
    assert (sign_in.address, sign_in.kind) == ("127.0.0.1:1011", "sign-in")
    assert [word for word in sign_in.argv if word.startswith("--gateway")] == [
        "--gateway=http://127.0.0.1:1007",
        "--gateway=http://127.0.0.1:2009",
    ]
    without = parts_of(Topology(gateways=gateways), etcd_binary, tmp_path)
    assert set(without) == {"gateway-1", "gateway-2"}
    assert "SESSIOND_SIGN_IN_URL" not in without["gateway-1"].env


def test_who_has_no_door_is_reached_where_it_serves(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Without doors the addresses are those at which the parts listen, and Live advertises none."""
    topology = Topology(stores=[Place(1003, 1004)], lives=[Place(1005, 1006)])
    live = parts_of(topology, etcd_binary, tmp_path)["live-1"]

    assert live.address == live.env["SESSIOND_LISTEN"] == "127.0.0.1:1005"
    assert live.env["SESSIOND_STORE_ADDRESSES"] == "127.0.0.1:1003"
    assert "SESSIOND_ADVERTISE" not in live.env


def test_retention_finds_store_and_live_and_serves_nobody(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """It has a service's token, its metrics, and what is set for it; by default there is none."""
    topology = Topology(
        stores=[Place(1003, 1004, door=2003)],
        lives=[Place(1005, 1006)],
        retentions=[1012, 1013],
        settings={"retention": {"SESSIOND_RETENTION_EVERY_SECONDS": "5"}},
    )
    parts = parts_of(topology, etcd_binary, tmp_path)

    first, second = parts["retention-1"], parts["retention-2"]
    assert (first.address, first.kind) == ("", "retention")
    assert first.ready_url == "http://127.0.0.1:1012/readyz"
    assert second.env["SESSIOND_METRICS_LISTEN"] == "127.0.0.1:1013"
    assert first.env["SESSIOND_STORE_ADDRESSES"] == "127.0.0.1:2003"
    assert first.env["SESSIOND_LIVE_ADDRESSES"] == "127.0.0.1:1005"
    assert first.env["SESSIOND_RETENTION_EVERY_SECONDS"] == "5"
    token = Path(first.env["SESSIOND_IDENTITY_TOKEN_FILE"])
    assert token.name == "retention.jwt"
    assert not [name for name in parts_of(Topology(), etcd_binary, tmp_path) if "retention" in name]
