"""Templates as they are stored."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from sessiond.session.templates import Template
from sessiond.store.v1 import records_pb2 as pb


def encode_template(template: Template) -> bytes:
    """Return the bytes of a template."""
    return pb.Template(
        workflow_id=template.workflow_id,
        user_inputs=template.user_inputs,
        title=template.title,
        metadata=template.metadata,
        updated_ms=template.updated_ms,
    ).SerializeToString()


def decode_template(data: bytes) -> Template:
    """Return the template of these bytes.

    Raises:
        ValueError: they are none.
    """
    try:
        stored = pb.Template.FromString(data)
    except DecodeError as error:
        raise ValueError("these bytes are no template") from error
    return Template(
        workflow_id=stored.workflow_id,
        user_inputs=stored.user_inputs,
        title=stored.title,
        metadata=dict(stored.metadata),
        updated_ms=stored.updated_ms,
    )
