"""Sets a document that lies in a folder, as a process of its own: it imports nothing of ours.

Typst takes 60 KB of memory for a message and does not give it back, and a core while it works; a
server that sets its documents elsewhere keeps both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typst


def main(folder: Path, template: Path, timestamp: int) -> None:
    """Make `document.pdf` of `data.json` and `fonts.json` by a template.

    `timestamp` is in seconds since 1970, and the one time that the PDF holds.
    """
    typst.compile(
        template.read_bytes(),
        output=str(folder / "document.pdf"),
        root=str(folder),
        timestamp=timestamp,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
