"""Sets a document that lies in a folder, as a process of its own: it imports nothing of ours.

Typst takes 60 KB of memory for a message and does not give it back, and a core while it works; a
server that sets its documents elsewhere keeps both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typst


def main(folder: Path, timestamp: int) -> None:
    """Make `document.pdf` by `document.typ`, which reads `data.json` and `fonts.json`.

    `timestamp` is in seconds since 1970, and the one time that the PDF holds.
    """
    typst.compile(
        folder / "document.typ",
        output=folder / "document.pdf",
        root=folder,
        timestamp=timestamp,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
