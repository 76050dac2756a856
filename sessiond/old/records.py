"""All records of an old system, one after the other: what can be imported, and what cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sessiond.old.converting import Converted, convert
from sessiond.old.reading import Refused, Value, read, read_lists, session_of
from sessiond.session.workflow import Workflow


class OldRecords:
    """The sessions in a folder or a file, in its order. Only the lists are kept in memory.

    Attributes:
        total: how many sessions there are.
    """

    def __init__(self, path: Path, workflows: Mapping[str, Workflow]) -> None:
        """Read the users' lists.

        Raises:
            OSError: it cannot be read.
        """
        self._path = path
        self._workflows = workflows
        self._lists = read_lists(path)
        self.total = self._lists.sessions

    def histories(self, done: Collection[str] = ()) -> Iterator[tuple[str, Converted | Refused]]:
        """Yield each session's key and its history, or why there is none.

        Passed over are the keys that are `done`. Refused too is what is no session, a key that
        stands there again, and an id that stands in a list alone.

        Raises:
            OSError: it cannot be read.
        """
        for refused in self._lists.refused:
            yield refused.key, refused
        seen: set[str] = set()
        for found in read(self._path, lambda key: session_of(key) is not None):
            if found.key in seen:
                yield found.key, Refused(found.key, "stands there more than once")
            elif isinstance(found, Value):
                seen.add(found.key)
                if found.key not in done:
                    yield found.key, convert(found, self._lists.users, self._workflows)
            elif session_of(found.key) is not None:
                # Lines that have no key were told of with the lists.
                seen.add(found.key)
                yield found.key, found
        for session_id, users in self._lists.users.items():
            key = f"session:{session_id}"
            if key not in seen:
                listed = ", ".join(sorted(users))
                yield key, Refused(key, f"stands in the list of {listed}, and nowhere else")
