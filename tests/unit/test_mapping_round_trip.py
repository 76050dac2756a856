"""What the mapping shows of any request and answer, it reads back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.errors import Violations
from sessiond.mapping.reading import ObjectReader
from sessiond.mapping.showing import one_line, to_json
from sessiond.v1 import live_pb2, store_pb2
from sessiond.v1.session_pb2 import JsonObject


def _methods() -> Iterator[Any]:
    for module, service in ((store_pb2, "StoreService"), (live_pb2, "LiveService")):
        for method in module.DESCRIPTOR.services_by_name[service].methods:
            if method.name != "Connect":
                yield method


METHODS = list(_methods())


def filled(message: Any, seed: int) -> Any:
    """Set every field that has no alternative, to something that depends on the seed."""
    if isinstance(message, Timestamp):
        message.seconds, message.nanos = 1_700_000_000 + seed, seed * 1_000_000 + 999_999
    elif isinstance(message, JsonObject):
        message.text = json.dumps({"n": 2**70 + seed, "t": "ü", "d": {"x": [None, 1.5]}})
    else:
        for field in message.DESCRIPTOR.fields:
            if not _is_an_alternative(field):
                _fill(message, field, seed + field.number)
    return message


def _is_an_alternative(field: FieldDescriptor) -> bool:
    one_of = field.containing_oneof
    return one_of is not None and one_of.fields[0].name != field.name


def _fill(message: Any, field: FieldDescriptor, seed: int) -> None:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"]
        for key in ("b", "a"):
            if inner.message_type is not None:
                filled(value[key], seed)
            else:
                value[key] = _scalar(inner, seed)
    elif kind is not None:
        filled(value.add() if field.is_repeated else value, seed)
    elif field.is_repeated:
        value.append(_scalar(field, seed))
    else:
        setattr(message, field.name, _scalar(field, seed))


def _scalar(field: FieldDescriptor, seed: int) -> Any:
    if field.enum_type is not None:
        return 1
    numbers = {
        FieldDescriptor.TYPE_BOOL: True,
        FieldDescriptor.TYPE_DOUBLE: seed / 4,
        FieldDescriptor.TYPE_STRING: f"text {seed} ü \n",
    }
    return numbers.get(field.type, seed)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_answer_is_shown_on_one_line(method: Any) -> None:
    """Empty and filled, each answer is JSON, and the same JSON without its line breaks."""
    kind = GetMessageClass(method.output_type)
    for message in (kind(), filled(kind(), 1), filled(kind(), 500)):
        line = one_line(to_json(message))
        assert b"\n" not in line
        assert json.loads(line) == json.loads(to_json(message))


@pytest.mark.parametrize(
    "method",
    [method for method in METHODS if method.name not in ("WatchSessions", "ImportSession")],
    ids=lambda method: method.name,
)
def test_every_request_survives_the_way_there_and_back(method: Any) -> None:
    """What a filled request is in JSON gives that request again."""
    request = filled(GetMessageClass(method.input_type)(), 1)
    for field in request.DESCRIPTOR.fields:
        if field.name.startswith("clear_"):  # in JSON this is a null
            request.ClearField(field.name)
    found = json.loads(to_json(request))
    for name in [name for name in found if name.startswith("clear")]:
        del found[name]
    read, violations = type(request)(), Violations()
    ObjectReader(request.DESCRIPTOR).fill(read, found, violations)
    assert not violations.found
    assert json.loads(to_json(read)) == json.loads(to_json(request))
