"""docker-compose.yml says the same as the topology that the tests run as processes.

No engine is needed: the file is read as YAML, merged as YAML says, and looked at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from cluster.etcd import GIB, TOGETHER
from cluster.keys import ALGORITHM, AUDIENCE, ISSUER
from gateway.settings import GatewaySettings
from services.live.settings import LiveSettings
from services.retention.settings import RetentionSettings
from services.store.settings import StoreSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PARTS: dict[str, type[BaseSettings]] = {
    "store-1": StoreSettings,
    "store-2": StoreSettings,
    "live-1": LiveSettings,
    "live-2": LiveSettings,
    "gateway": GatewaySettings,
    "retention": RetentionSettings,
}
ETCDS = ("etcd-1", "etcd-2", "etcd-3")


def test_the_services_are_those_of_the_picture() -> None:
    """Three etcds, two Stores, two Lives, a gateway, retention, and the one that makes the keys."""
    assert set(SERVICES) == {"keys", *ETCDS, *PARTS}


@pytest.mark.parametrize("name", ETCDS)
def test_etcd_runs_as_in_our_own_clusters(name: str) -> None:
    """A version that keeps what it acknowledged, our heartbeat and quota, and its own volume."""
    service = SERVICES[name]
    given = service["environment"]
    version = re.fullmatch(r"quay\.io/coreos/etcd:v3\.(5|6)\.(\d+)", service["image"])
    assert version
    assert int(version[2]) >= {"5": 33, "6": 14}[version[1]]
    for flag in TOGETHER:
        setting, value = flag.removeprefix("--").split("=")
        assert given["ETCD_" + setting.upper().replace("-", "_")] == value
    assert given["ETCD_QUOTA_BACKEND_BYTES"] == str(8 * GIB)
    assert given["ETCD_NAME"] == name
    assert f"{name}={given['ETCD_INITIAL_ADVERTISE_PEER_URLS']}" in given["ETCD_INITIAL_CLUSTER"]
    assert service["volumes"] == [f"{name}:{given['ETCD_DATA_DIR']}"]
    assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_given_settings_that_it_knows(name: str) -> None:
    """Every variable names a field of the part's settings, and the issuer is that of the keys."""
    given = SERVICES[name]["environment"]
    fields = {f"SESSIOND_{field.upper()}" for field in PARTS[name].model_fields}
    assert set(given) <= fields
    if "SESSIOND_JWT_ISSUER" not in fields:
        return  # it is called by nobody, and so checks no tokens
    assert given["SESSIOND_JWT_ISSUER"] == ISSUER
    assert given["SESSIOND_JWT_AUDIENCE"] == AUDIENCE
    assert given["SESSIOND_JWT_ALGORITHMS"] == ALGORITHM


@pytest.mark.parametrize("name", PARTS)
def test_a_part_comes_back_and_may_drain(name: str) -> None:
    """It is restarted when it dies, and has longer to stop than its drain takes."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    drain = PARTS[name].model_fields["drain_seconds"].default
    assert int(service["stop_grace_period"].removesuffix("s")) > drain


@pytest.mark.parametrize("name", PARTS)
def test_the_addresses_are_those_of_services(name: str) -> None:
    """Every host:port that a part calls is a service that listens there."""
    for setting, value in SERVICES[name]["environment"].items():
        if not setting.endswith(("_ADDRESSES", "_ADVERTISE")):
            continue
        for address in value.split(","):
            host, port = address.split(":")
            assert SERVICES[host]["environment"]["SESSIOND_LISTEN"] == f"0.0.0.0:{port}"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_waits_for_what_it_needs(name: str) -> None:
    """Keys are there and the layer below is healthy before it starts."""
    lives = ("live-1", "live-2")
    below = {"store": ETCDS, "live": ("store-1", "store-2"), "gateway": lives, "retention": lives}
    waits = SERVICES[name]["depends_on"]
    assert waits["keys"]["condition"] == "service_completed_successfully"
    for other in below[name.partition("-")[0]]:
        assert waits[other]["condition"] == "service_healthy"


def test_only_the_gateway_is_published_and_on_loopback() -> None:
    """Development keys protect nothing, so nobody outside reaches what trusts them."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8080:8080"]}


def test_where_users_sign_in_is_for_the_operator_to_say() -> None:
    """Taken from the environment of `docker compose`; by default the dashboard asks for a token."""
    given = SERVICES["gateway"]["environment"]["SESSIOND_SIGN_IN_URL"]
    assert given == "${SESSIOND_SIGN_IN_URL:-}"


def test_only_the_maker_of_keys_writes_them() -> None:
    """Every other part mounts them read-only."""
    assert SERVICES["keys"]["volumes"] == ["keys:/data"]
    assert all(SERVICES[name]["volumes"] == ["keys:/data:ro"] for name in PARTS)


def test_the_image_does_not_run_as_root_and_checks_hashes() -> None:
    """What the Dockerfile promises."""
    lines = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER (?!root|0)\S+$", lines, re.MULTILINE)
    assert "--require-hashes -r requirements.lock" in lines
    assert re.search(r"^HEALTHCHECK .*\n\s+CMD \[\"python\"", lines, re.MULTILINE)
