"""Drafts as they are stored: pieces of a running turn's text."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from sessiond.store.v1 import records_pb2 as pb


def encode_draft(offset: int, text: str) -> bytes:
    """Return the bytes of a piece that stands after `offset` characters (Unicode code points)."""
    return pb.Draft(offset=offset, text=text).SerializeToString()


def decode_draft(data: bytes) -> tuple[int, str]:
    """Return how many characters stand before the piece of these bytes, and its text.

    Raises:
        ValueError: they are no draft.
    """
    try:
        stored = pb.Draft.FromString(data)
    except DecodeError as error:
        raise ValueError("these bytes are no draft") from error
    return stored.offset, stored.text
