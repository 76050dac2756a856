"""The proto subset against the descriptors of a published etcd package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from services.store.etcd import etcd_pb2

# One process can load only one copy of `etcdserverpb`, so the other's descriptors are read here.
WITNESS = """
import sys
from aetcd.rpc import kv_pb2, rpc_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
files = FileDescriptorSet()
for module in (kv_pb2, rpc_pb2):
    module.DESCRIPTOR.CopyToProto(files.file.add())
sys.stdout.buffer.write(files.SerializeToString())
"""

Fact = tuple[object, ...]

# The witness is of etcd 3.5; this came with 3.6, and stays 0 before it.
NEWER: set[Fact] = {("StatusResponse", "dbSizeQuota", 12, "TYPE_INT64", "", "LABEL_OPTIONAL", "")}


def facts(files: Iterable[FileDescriptorProto]) -> set[Fact]:
    """Return everything that travels, one tuple each; packages of messages do not."""
    return {fact for file in files for fact in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[Fact]:
    for message in file.message_type:
        yield from _of_message(message)
    for enum in file.enum_type:
        yield from _of_enum(enum, enum.name)
    for service in file.service:
        for method in service.method:
            yield (
                f"/{file.package}.{service.name}/{method.name}",
                *(_short(method.input_type), method.client_streaming),
                *(_short(method.output_type), method.server_streaming),
            )


def _of_message(message: DescriptorProto) -> Iterator[Fact]:
    yield ("message", message.name)
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        kind = FieldDescriptorProto.Type.Name(field.type)
        label = FieldDescriptorProto.Label.Name(field.label)
        yield (message.name, field.name, field.number, kind, _short(field.type_name), label, oneof)
    for enum in message.enum_type:
        yield from _of_enum(enum, f"{message.name}.{enum.name}")


def _of_enum(enum: EnumDescriptorProto, name: str) -> Iterator[Fact]:
    for value in enum.value:
        yield (name, value.name, value.number)


def _short(name: str) -> str:
    return name.removeprefix(".etcdserverpb.").removeprefix(".mvccpb.")


def test_the_subset_is_exactly_what_etcd_speaks() -> None:
    """Every message, field, enum value and method path is etcd's, by number, type and label."""
    answer = subprocess.run(
        [sys.executable, "-c", WITNESS],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
        capture_output=True,
        check=True,
    )
    theirs = facts(FileDescriptorSet.FromString(answer.stdout).file)
    ours = FileDescriptorProto()
    etcd_pb2.DESCRIPTOR.CopyToProto(ours)
    assert len(theirs) > 200
    assert facts([ours]) - theirs == NEWER
