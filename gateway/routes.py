"""Finds what answers a request.

The raw path is split at its slashes first and percent-decoded per segment afterwards, so that a
user id may hold `/`, `:`, `%` or be `..`. A path is taken as it comes: a slash at the end makes
another path, and `..` means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from gateway.mapping.texts import unescape
from sessiond.errors import MethodNotAllowed, RouteNotFound

E = TypeVar("E")

Parameters = Mapping[str, str | None]
"""What a path holds by name; None where it is no percent-encoded UTF-8."""


class Match(NamedTuple, Generic[E]):
    """What answers, the template of its path, and the path's parameters."""

    endpoint: E
    template: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Place(Generic[E]):
    """A path that exists, with what answers there by method."""

    endpoints: Mapping[str, tuple[str, E]]
    segments: Sequence[str | None]

    @property
    def allowed(self) -> list[str]:
        """The methods that the path takes. HEAD is answered by whoever answers GET."""
        implied = {"OPTIONS", "HEAD"} if "GET" in self.endpoints else {"OPTIONS"}
        return sorted(implied | self.endpoints.keys())

    @property
    def template(self) -> str:
        """The template of the path, whatever the method."""
        return next(iter(self.endpoints.values()))[0]

    def match(self, verb: str) -> Match[E]:
        """Return what answers the method.

        Raises:
            MethodNotAllowed: nothing does.
        """
        found = self.endpoints.get("GET" if verb == "HEAD" else verb)
        if found is None:
            raise MethodNotAllowed
        template, endpoint = found
        named = zip(template.split("/")[1:], self.segments, strict=True)
        values = {part[1:-1]: value for part, value in named if part.startswith("{")}
        return Match(endpoint, template, values)


@dataclass(slots=True)
class _Node(Generic[E]):
    children: dict[str, _Node[E]] = field(default_factory=dict)
    endpoints: dict[str, tuple[str, E]] = field(default_factory=dict)


_ANY = "{}"


class RouteTable(Generic[E]):
    """Endpoints by path and method.

    Of two templates that fit a path, the one with a literal where the other has a parameter wins,
    from the left.
    """

    def __init__(self) -> None:
        self._root: _Node[E] = _Node()

    def add(self, verb: str, template: str, endpoint: E) -> None:
        """Add one endpoint; raises ValueError when there is one already."""
        node = self._root
        for segment in template.split("/")[1:]:
            key = _ANY if segment.startswith("{") else segment
            node = node.children.setdefault(key, _Node())
        if verb in node.endpoints:
            raise ValueError(f"two routes for {verb} {template}")
        node.endpoints[verb] = (template, endpoint)

    def find(self, raw_path: bytes) -> Place[E]:
        """Return what is at the path.

        Raises:
            RouteNotFound: nothing is.
        """
        segments = [unescape(raw) for raw in raw_path.split(b"/")[1:]]
        node = self._find(self._root, segments)
        if node is None:
            raise RouteNotFound
        return Place(node.endpoints, segments)

    def _find(self, node: _Node[E], segments: Sequence[str | None]) -> _Node[E] | None:
        if not segments:
            return node if node.endpoints else None
        first = segments[0]
        literal = None if first is None else node.children.get(first)
        for child in (literal, node.children.get(_ANY)):
            found = None if child is None else self._find(child, segments[1:])
            if found is not None:
                return found
        return None
