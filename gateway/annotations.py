"""REST operations as the protos describe them.

An RPC becomes an operation by `google.api.http`; which of its fields travel in headers and how a
success looks is said by the options of `sessiond/v1/options.proto`. Streaming RPCs have other
faces than REST, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from sessiond.mapping.spelling import header_of
from sessiond.v1.options_pb2 import null_of, rest_success

_PARAMETER = re.compile(r"\{([a-z0-9_]+)\}")
READS = ("GET",)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route that stands for one RPC.

    Attributes:
        rpc: the RPC.
        verb: the HTTP method.
        template: the path, with the names of request fields in braces.
        body: "*" for an object of all fields that stand nowhere else, the name of one field, or ""
            for none.
        response_body: the field of the response that is the answer; "" for all of it.
        status: the HTTP status of a success.
        etag: the path of the response field that is the ETag; empty for no ETag.
        location: the template of the Location header; "" for none.
    """

    rpc: MethodDescriptor
    verb: str
    template: str
    body: str
    response_body: str
    status: int
    etag: tuple[str, ...]
    location: str

    @property
    def request(self) -> Descriptor:
        """The message that the RPC takes."""
        return self.rpc.input_type

    @property
    def request_class(self) -> type[Message]:
        """The class of the message that the RPC takes."""
        return GetMessageClass(self.rpc.input_type)

    @property
    def response_class(self) -> type[Message]:
        """The class of the message that the RPC gives."""
        return GetMessageClass(self.rpc.output_type)

    @property
    def reads(self) -> bool:
        """Whether the RPC changes nothing."""
        return self.verb in READS

    @property
    def path_fields(self) -> list[FieldDescriptor]:
        """The fields that stand in the path, in its order."""
        return [self.request.fields_by_name[name] for name in _PARAMETER.findall(self.template)]

    @property
    def header_fields(self) -> list[FieldDescriptor]:
        """The fields that travel in headers."""
        return [field for field in self.request.fields if header_of(field)]

    @property
    def body_fields(self) -> list[FieldDescriptor]:
        """The fields that stand in the body."""
        if self.body == "*":
            return self._elsewhere_unbound()
        return [self.request.fields_by_name[self.body]] if self.body else []

    @property
    def query_fields(self) -> list[FieldDescriptor]:
        """The fields that stand in the query."""
        if self.body == "*":
            return []
        return [field for field in self._elsewhere_unbound() if field.name != self.body]

    def _elsewhere_unbound(self) -> list[FieldDescriptor]:
        bound = {field.name for field in (*self.path_fields, *self.header_fields)}
        return [
            field
            for field in self.request.fields
            if field.name not in bound and not field.GetOptions().Extensions[null_of]
        ]


def operations(services: Iterable[ServiceDescriptor]) -> list[Operation]:
    """Return the REST operations of the services, in the order of the protos."""
    return [
        operation
        for service in services
        for rpc in service.methods
        if rpc.GetOptions().HasExtension(http)
        if not rpc.client_streaming and not rpc.server_streaming
        for operation in _of(rpc, rpc.GetOptions().Extensions[http])
    ]


def _of(rpc: MethodDescriptor, rule: HttpRule) -> Iterator[Operation]:
    pattern = rule.WhichOneof("pattern")
    if pattern is None or pattern == "custom":
        raise ValueError(f"{rpc.full_name}: the route needs one of the usual methods")
    template = str(getattr(rule, pattern))
    if "{" in _PARAMETER.sub("", template):
        raise ValueError(f"{rpc.full_name}: a path parameter is one field and one segment")
    success = rpc.GetOptions().Extensions[rest_success]
    yield Operation(
        rpc=rpc,
        verb=pattern.upper(),
        template=template,
        body=rule.body,
        response_body=rule.response_body,
        status=success.status or 200,
        etag=tuple(success.etag.split(".")) if success.etag else (),
        location=success.location,
    )
    for binding in rule.additional_bindings:
        yield from _of(rpc, binding)
