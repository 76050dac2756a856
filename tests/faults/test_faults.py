"""Whatever a plan names can be done."""

from __future__ import annotations

from pathlib import Path

from tests.faults.faults import MAKERS
from tests.faults.faults.processes import freezer
from tests.faults.faults.roads import TROUBLES as HARMS
from tests.faults.parts.orders import REPORTS, Orders
from tests.faults.plan import KINDS, TROUBLES


def test_every_kind_of_a_plan_can_be_made() -> None:
    """Plans and faults have the same names, none more."""
    assert set(MAKERS) == set(KINDS)
    assert set(HARMS) == set(TROUBLES)


def test_processes_can_be_frozen_here() -> None:
    """There is a freezer that takes processes."""
    assert (freezer() / "cgroup.procs").exists()


def test_a_point_that_nobody_ordered_is_passed(tmp_path: Path) -> None:
    """A part goes on through every point at which it was not told to die."""
    Orders(tmp_path / "orders").reached("before fan-out")
    assert list(tmp_path.iterdir()) == []


def test_a_part_reports_what_it_did(tmp_path: Path) -> None:
    """Whoever ordered something sees that it was done, and what the part's clock said."""
    file = tmp_path / "live-1.orders"
    orders = Orders(file)
    for order in ("stall 0.01", "time"):
        file.write_text(order)
        orders.obey()
    told = file.with_suffix(REPORTS).read_text().splitlines()
    assert [line.split()[0] for line in told] == ["stalled", "time"]
