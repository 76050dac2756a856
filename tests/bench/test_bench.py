"""The benches on real parts, with counts so small that only their truth can be looked at."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench.plan import Plan
from bench.product import Lost, Product
from bench.report import lines, write
from bench.run import measure
from bench.system import running
from cluster.etcd_binary import EtcdBinary

TINY = Plan(
    in_flight=(1, 2),
    rest_in_flight=(2,),
    sessions=4,
    page=2,
    messages=5,
    repeats=1,
    warm_up=0.0,
    seconds=0.2,
    read_seconds=0.2,
)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_every_figure_stands_beside_its_floors(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """A run measures all that it promises, and writes it with what the ratios rest on."""
    result = await measure(TINY, etcd_binary, tmp_path, told=lambda _: None)

    write(result, tmp_path / "results" / "latest.json")
    document = orjson.loads((tmp_path / "results" / "latest.json").read_bytes())

    measured: dict[tuple[str, int], set[str]] = {}
    for each in document["figures"]:
        measured.setdefault((each["figure"], each["in_flight"]), set()).add(each["what"])
        assert each["per_second"]["least"] <= each["per_second"]["median"]
        assert 0 < each["p50_ms"] <= each["p99_ms"]
        assert bool(each["of_floors"]) is not each["floor"]
    alone = {"etcd: put of the record", "etcd: transaction each", "gRPC: empty server"}
    assert measured == {
        ("append", 1): alone | {"Live, gRPC"},
        ("append", 2): alone | {"etcd: nested batches", "Live, gRPC", "gateway, REST"},
        ("list", 1): {"etcd: range", "Store, gRPC", "gateway, REST"},
        ("load", 1): {"etcd: range", "Store, gRPC", "gateway, REST"},
    }
    assert document["stored_bytes"]["record"] > TINY.content_bytes
    printed = "\n".join(lines(result))
    assert all(each["what"] in printed for each in document["figures"])
    assert names(tmp_path) == ["results"], "the run's data is removed"


async def test_an_append_that_was_acknowledged_and_is_not_stored_fails_the_run(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Only what is durable counts: the sessions are compared with what was acknowledged."""
    async with running(tmp_path, etcd_binary) as system:
        product = Product(system, content_bytes=512)
        with pytest.raises(Lost):
            async with product.appends(1) as (call,):
                await call()
                call.args[0].acknowledged += 1  # type: ignore[attr-defined]
