"""Sets a document that lies in a folder, as a process of its own: it imports nothing of ours.

Typst takes about 50 KB of memory for a message and does not give it back, and a core while it
works; a server that sets its documents elsewhere keeps both. What one document may take has an end,
so that what people write cannot use up a machine.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 1024 * 1024 * 1024
"""Of memory that it writes to; what a PDF may hold takes 0.8 of it. Files that are only read, as
fonts are, do not count."""


def main(folder: Path, timestamp: int) -> None:
    """Make `document.pdf` by `document.typ`, which reads `data.json` and `fonts.json`.

    `timestamp` is in seconds since 1970, and the one time that the PDF holds. The process is killed
    where it takes too much memory: by a signal, since typst knows no other end then.
    """
    _take_little()
    import typst

    try:
        typst.compile(
            folder / "document.typ",
            output=folder / "document.pdf",
            root=folder,
            timestamp=timestamp,
        )
    except BaseException as error:  # a panic is no Exception
        if "MemError" in str(error):  # of what compresses the pages
            os.abort()
        raise


def _take_little() -> None:
    """Bound the memory, and the cores: one. Where the system runs out, this process goes first.

    Without memory, typst aborts. Where it shall say first by which calls it came there, it takes a
    lock for that, and waits for the same lock for ever when the memory for saying it is missing.
    """
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["RUST_BACKTRACE"] = "0"
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(ImportError, OSError, ValueError):  # not every system has such a limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
