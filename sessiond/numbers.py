"""The numbers that the protos give to the rules' words: in messages, and in what is stored.

Each pair of tables holds every word once, both ways. Numbers mean the same for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from sessiond.session.access import MemberRole
from sessiond.session.state import (
    Decision,
    LastWord,
    MessageType,
    OutputStatus,
    Sender,
    Status,
    TurnOutcome,
)
from sessiond.v1 import event_pb2, live_pb2, session_pb2

STATUS_NUMBER: Mapping[Status, session_pb2.SessionStatus.ValueType] = {
    word: session_pb2.SessionStatus.Value(f"SESSION_STATUS_{word.name}") for word in Status
}
SENDER_NUMBER: Mapping[Sender, session_pb2.Sender.ValueType] = {
    word: session_pb2.Sender.Value(f"SENDER_{word.name}") for word in Sender
}
MESSAGE_TYPE_NUMBER: Mapping[MessageType, session_pb2.MessageType.ValueType] = {
    word: session_pb2.MessageType.Value(f"MESSAGE_TYPE_{word.name}") for word in MessageType
}
OUTPUT_STATUS_NUMBER: Mapping[OutputStatus, session_pb2.OutputStatus.ValueType] = {
    word: session_pb2.OutputStatus.Value(f"OUTPUT_STATUS_{word.name}") for word in OutputStatus
}
DECISION_NUMBER: Mapping[Decision, live_pb2.Decision.ValueType] = {
    word: live_pb2.Decision.Value(f"DECISION_{word.name}") for word in Decision
}
TURN_OUTCOME_NUMBER: Mapping[TurnOutcome, event_pb2.TurnOutcome.ValueType] = {
    word: event_pb2.TurnOutcome.Value(f"TURN_OUTCOME_{word.name}") for word in TurnOutcome
}
LAST_WORD_NUMBER: Mapping[LastWord, event_pb2.LastWord.ValueType] = {
    LastWord.NOBODY: event_pb2.LAST_WORD_UNSPECIFIED,
    LastWord.AGENT: event_pb2.LAST_WORD_AGENT,
    LastWord.OTHER: event_pb2.LAST_WORD_OTHER,
}
MEMBER_ROLE_NUMBER: Mapping[MemberRole, session_pb2.MemberRole.ValueType] = {
    word: session_pb2.MemberRole.Value(f"MEMBER_ROLE_{word.name}") for word in MemberRole
}

STATUS_WORD: Mapping[int, Status] = {number: word for word, number in STATUS_NUMBER.items()}
SENDER_WORD: Mapping[int, Sender] = {number: word for word, number in SENDER_NUMBER.items()}
MESSAGE_TYPE_WORD: Mapping[int, MessageType] = {
    number: word for word, number in MESSAGE_TYPE_NUMBER.items()
}
OUTPUT_STATUS_WORD: Mapping[int, OutputStatus] = {
    number: word for word, number in OUTPUT_STATUS_NUMBER.items()
}
DECISION_WORD: Mapping[int, Decision] = {number: word for word, number in DECISION_NUMBER.items()}
TURN_OUTCOME_WORD: Mapping[int, TurnOutcome] = {
    number: word for word, number in TURN_OUTCOME_NUMBER.items()
}
MEMBER_ROLE_WORD: Mapping[int, MemberRole] = {
    number: word for word, number in MEMBER_ROLE_NUMBER.items()
}
LAST_WORD_WORD: Mapping[int, LastWord] = {number: word for word, number in LAST_WORD_NUMBER.items()}
