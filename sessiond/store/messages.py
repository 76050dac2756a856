"""Messages as callers see them, straight from the records that hold them.

A conversation is mostly messages, and to load it takes little else. By way of the rules' own values
it would take three times as long.
"""

from __future__ import annotations

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import DecodeError

from sessiond.store.v1 import records_pb2 as pb
from sessiond.v1 import session_pb2
from sessiond.wire import set_timestamp

Messages = RepeatedCompositeFieldContainer[session_pb2.Message]


def add_message(messages: Messages, data: bytes, session_id: str) -> bool:
    """Add the message that a record of this session holds; False where it holds none.

    It is the one that `apply.message_of` gives of the record.

    Raises:
        ValueError: the bytes are no record, or one of a later version.
    """
    try:
        record = pb.Record.FromString(data)
    except DecodeError as error:
        raise ValueError("these bytes are no record that this version knows") from error
    held: pb.MessageAppended | pb.TurnEnded
    match record.WhichOneof("event"):
        case "message_appended":
            held = appended = record.message_appended
            message = messages.add()
            message.id = appended.id
            # Both sides are numbers of the one enum.
            message.sender = appended.sender  # type: ignore[assignment]
            message.type = appended.type  # type: ignore[assignment]
            if message.sender == session_pb2.SENDER_USER:
                actor = record.actor
                message.user_id = actor.acting_for or actor.subject
        case "turn_ended" if record.turn_ended.message_id:
            held = ended = record.turn_ended
            message = messages.add()
            message.id = ended.message_id
            message.sender = session_pb2.SENDER_AGENT
            message.type = session_pb2.MESSAGE_TYPE_TEXT
        case None:
            raise ValueError("the record holds no event that this version knows")
        case _:
            return False
    message.session_id = session_id
    message.content = held.content
    if held.HasField("agent_id"):
        message.agent_id = held.agent_id
    if held.HasField("metadata"):
        message.metadata.text = held.metadata
    set_timestamp(message.timestamp, record.time_ms)
    message.seq = record.seq
    return True
