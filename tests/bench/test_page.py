"""The page: tables between markers, plots, and what 100,000 sessions need."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from bench import scale
from bench.groups import GROUPS
from bench.measuring import Sample
from bench.page import PAGE, rewritten
from bench.plots import plots
from bench.rows import rows_of
from tests.bench.documents import appends, case, made, peer, samples

TEXT = """# Title

Prose.

<!-- bench appends -->
old
<!-- /bench -->

More prose.

<!-- bench targets -->
<!-- /bench -->
"""


def test_only_what_stands_between_markers_is_rewritten() -> None:
    """Prose stays, tables are new, and a second time changes nothing."""
    document = made(appends(ours=60, floor=80))

    page = rewritten(TEXT, document)

    assert "old" not in page
    assert "| **Live, streams** | 60 |" in page
    assert "| 128 sessions, one stream each |" in page
    assert page.startswith("# Title\n\nProse.\n\n<!-- bench appends -->\n|")
    assert "<!-- /bench -->\n\nMore prose.\n\n<!-- bench targets -->\n|" in page
    assert rewritten(page, document) == page


def test_a_place_for_nothing_is_an_error() -> None:
    """A page cannot promise what was not measured."""
    with pytest.raises(KeyError):
        rewritten("<!-- bench nothing -->\n<!-- /bench -->", made(appends(1, 1)))


def test_the_page_has_a_place_for_everything() -> None:
    """Each group is shown, and what the specification asks for."""
    places = re.findall(r"<!-- bench (\w+) -->", PAGE.read_text())
    assert sorted(places) == sorted([*GROUPS, "summary", "targets", "scale"])


def test_a_plot_draws_each_figure_and_its_peers() -> None:
    """The longest bar is the greatest figure, and the file is a picture."""
    drawn = dict(plots(made(appends(ours=60, floor=80), [peer(10, in_flight=128)])))

    assert set(drawn) == {"appends", "latency"}
    svg = ET.fromstring(drawn["appends"])
    widths = [float(each.attrib["width"]) for each in svg.iter() if each.tag.endswith("rect")][1:]
    assert len(widths) == 3
    assert widths[0] == max(widths)
    assert widths[1] / widths[0] == pytest.approx(60 / 80, abs=0.01)
    assert "ADK" in drawn["appends"]


def costs(kb: float) -> list[str]:
    rows = rows_of(
        "cost",
        {
            case("stored in etcd"): [
                Sample(
                    None,
                    (),
                    also={
                        "bytes per message": 1024.0,
                        "bytes per session beside its messages": 2048.0,
                        "KB of database per session": kb,
                    },
                )
            ],
            case("Live, memory"): [Sample(None, (), also={"KB per held session": 10.0})],
            case("Live, streams"): samples(100.0),
        },
    )
    found = scale.costs(made(rows))
    assert found is not None
    return list(scale.lines(found))


def test_what_a_hundred_thousand_sessions_need() -> None:
    """Fifty messages of a KiB and two KiB beside them are 52 KiB, and 4.96 GiB in all."""
    said = "\n".join(costs(64.0))
    assert "| keys and values in etcd | 52.0 KiB | 4.96 GiB |" in said
    assert "| etcd's database, at rest | 64.0 KiB | 6.10 GiB |" in said
    assert "| memory of Live, all of them held | 10.0 KiB | 0.95 GiB |" in said


def test_a_larger_session_brings_the_wall_nearer() -> None:
    """The wall is where database and kept past fill what may be used."""
    walls = []
    for kb in (64.0, 128.0):
        found = re.search(r"with about ([\d,]+) sessions", costs(kb)[-1])
        assert found is not None
        walls.append(int(found[1].replace(",", "")))
    assert walls == [86_000, 48_000]


def test_nothing_is_said_of_what_was_not_measured() -> None:
    """Without the group there is no section."""
    assert scale.costs(made(appends(1, 1))) is None
