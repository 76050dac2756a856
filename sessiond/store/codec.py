"""Between the rules' values and the bytes that stand in etcd: symmetric pairs.

For every value `decode(encode(value)) == value`. For every log, `load` gives from a head, an
outputs table and the few records that `needed_seqs` names exactly what folding all records by
`apply` gives. Bytes that none of our parts wrote are a `ValueError`.

Encodings of equal values may differ in their bytes (maps, newer fields), so whoever compares keeps
the very bytes that it read or wrote.
"""

from __future__ import annotations

from sessiond.session.state import OutputRow
from sessiond.store.drafts import decode_draft, encode_draft
from sessiond.store.heads import (
    FORMAT,
    Building,
    HeadMeta,
    StoredHead,
    Tombstone,
    decode_head,
    encode_building_head,
    encode_head,
    encode_tombstone_head,
    take_over,
)
from sessiond.store.loading import load, needed_seqs
from sessiond.store.messages import Messages, add_message
from sessiond.store.records import StoredRecord, decode_record, encode_record, read_record
from sessiond.store.standing import decode_members, encode_members
from sessiond.store.tables import (
    decode_entry,
    decode_outputs,
    encode_entry,
    encode_outputs,
)

__all__ = [
    "FORMAT",
    "Building",
    "HeadMeta",
    "Messages",
    "OutputRow",
    "StoredHead",
    "StoredRecord",
    "Tombstone",
    "add_message",
    "decode_draft",
    "decode_entry",
    "decode_head",
    "decode_members",
    "decode_outputs",
    "decode_record",
    "encode_building_head",
    "encode_draft",
    "encode_entry",
    "encode_head",
    "encode_members",
    "encode_outputs",
    "encode_record",
    "encode_tombstone_head",
    "load",
    "needed_seqs",
    "read_record",
    "take_over",
]
