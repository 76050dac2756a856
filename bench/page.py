"""`python -m bench.page DOCUMENT`: write a run's tables and plots into docs/performance.md.

What stands between `<!-- bench NAME -->` and `<!-- /bench -->` is written anew; all else is left.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from bench import scale
from bench.document import with_peers, write
from bench.peer_rows import read
from bench.plots import plots
from bench.tables import figures, groups, summary, targets, usage

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "performance.md"
_PART = re.compile(r"(<!-- bench (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def rewritten(text: str, made: dict[str, Any]) -> str:
    """Return the page with the figures of this document.

    Raises:
        KeyError: the page has a place for something that there is not.
    """
    parts = _parts(made)

    def part(found: re.Match[str]) -> str:
        return "".join((found[1], *(f"{line}\n" for line in parts[found[2]](made)), found[3]))

    return _PART.sub(part, text)


def main(arguments: list[str]) -> int:
    """Write the page, and the plots beside it.

    The peers may have been measured after the run: they are put into its document too.
    """
    path = Path(arguments[0])
    made = with_peers(orjson.loads(path.read_bytes()), read(path.with_name("peers.json")))
    write(made, path)
    PAGE.write_text(rewritten(PAGE.read_text(), made))
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, svg in plots(made):
        (folder / f"{name}.svg").write_text(svg)
    return 0


Part = Callable[[dict[str, Any]], Iterator[str]]


def _parts(made: dict[str, Any]) -> Mapping[str, Part]:
    return {
        "summary": summary,
        "targets": targets,
        "scale": _scale,
        **{name: _group(name) for name in groups(made)},
    }


def _group(name: str) -> Part:
    def lines(made: dict[str, Any]) -> Iterator[str]:
        yield from figures(made, name)
        if used := list(usage(made, name)):
            yield from ("", *used)

    return lines


def _scale(made: dict[str, Any]) -> Iterator[str]:
    found = scale.costs(made)
    if found is not None:
        yield from scale.lines(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
