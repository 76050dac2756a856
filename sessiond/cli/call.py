"""`sessiond call`: any method of Store and Live that answers once, by its name."""

from __future__ import annotations

import random
import sys
import time
import uuid
from typing import Annotated, Any

import grpc
import typer
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import connected
from sessiond.client.calls import Attempts, Replicas
from sessiond.client.channels import metadata_of, open_synchronous_channel
from sessiond.errors import SessiondError
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2, store_pb2

_STORE = store_pb2.DESCRIPTOR.services_by_name["StoreService"]
_LIVE = live_pb2.DESCRIPTOR.services_by_name["LiveService"]
_READS = ("Get", "List", "Scan")
_STREAMS = {
    "Connect": "sessiond chat",
    "ImportSession": "sessiond import",
    "ReadHistory": "sessiond export",
    "WatchChanges": "sessiond changes",
    "WatchSessions": "sessiond watch",
}


@connected
def call(
    connection: Connection,
    method: Annotated[str, typer.Argument(help="For example PauseSession.")],
    request: Annotated[str, typer.Argument(help="A JSON object; - reads it from stdin.")] = "{}",
) -> None:
    """Call a method of Store or Live, and print its answer as JSON on one line.

    A change that brings no operation id is given one, so that a call that breaks is repeated and
    done once.
    """
    found = method_named(method)
    text = sys.stdin.read() if request == "-" else request
    message = GetMessageClass(found.input_type)()
    json_form.fill(message, text)
    sys.stdout.write(json_form.line(_answer(connection, found, message)) + "\n")


def method_named(name: str) -> MethodDescriptor:
    """Return the method of this name.

    Raises:
        CommandFailure: there is none, or it is a stream.
    """
    if name in _STREAMS:
        raise CommandFailure(f"{name} is a stream: use `{_STREAMS[name]}`")
    methods = {method.name: method for service in (_STORE, _LIVE) for method in service.methods}
    if name not in methods:
        known = ", ".join(sorted(methods.keys() - _STREAMS.keys()))
        raise CommandFailure(f"there is no method {name}: {known}")
    return methods[name]


def _answer(connection: Connection, method: MethodDescriptor, request: Any) -> Any:
    is_read = method.name.startswith(_READS)
    takes_op_id = "op_id" in method.input_type.fields_by_name
    if takes_op_id and not request.HasField("op_id"):
        request.op_id = uuid.uuid4().hex
    service = method.containing_service
    at = connection.store if service is _STORE else connection.live
    path = f"/{service.full_name}/{method.name}"
    channels = [open_synchronous_channel(address, connection.tls) for address in at]
    try:
        stubs = [
            channel.unary_unary(
                path,
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            for channel in channels
        ]
        return _asked(connection, Replicas(stubs, 0), request, is_read=is_read)
    finally:
        for channel in channels:
            channel.close()


def _asked(connection: Connection, stubs: Replicas[Any], request: Any, *, is_read: bool) -> Any:
    attempts = Attempts(
        stubs,
        deadline=connection.seconds,
        changes=not is_read,
        renewable=False,
        clock=time.monotonic,
        chance=random.random,
    )
    while True:
        try:
            return attempts.stub(
                request,
                timeout=attempts.seconds,
                metadata=metadata_of(connection.token(), connection.acting_for),
            )
        except grpc.RpcError as error:
            failure: SessiondError = from_rpc_error(error, mutating=not is_read)
        time.sleep(attempts.failed(failure))
