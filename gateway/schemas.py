"""JSON Schemas of our messages, as the mapping shows and reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.mapping.reading import is_required
from sessiond.mapping.spelling import is_json_object, is_marked_optional, map_value, words
from sessiond.v1.live_pb2 import NullableString
from sessiond.v1.options_pb2 import null_of, shape

Schema = dict[str, Any]

_SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "integer", "format": "int64"},
}
_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}


class Schemas:
    """Collects what is shared: a schema under its name for every message and enum shown."""

    def __init__(self, descriptions: Mapping[str, str]) -> None:
        self._descriptions = descriptions
        self.shared: dict[str, Schema] = {}

    def description(self, full_name: str) -> str:
        """Return the comment of something in the protos, on one line per paragraph."""
        paragraphs = self._descriptions.get(full_name, "").split("\n\n")
        return "\n\n".join(re.sub(r"\s*\n\s*", " ", paragraph) for paragraph in paragraphs)

    def shown(self, message: Descriptor) -> Schema:
        """Return a reference to the schema of a message in answers."""
        if message.name not in self.shared:
            self.shared[message.name] = {}
            self.shared[message.name].update(
                self._object(
                    message,
                    {field.json_name: self._shown(field) for field in message.fields},
                    [field.json_name for field in message.fields if not is_marked_optional(field)],
                )
            )
        return {"$ref": f"#/components/schemas/{message.name}"}

    def asked(self, message: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
        """Return a reference to the schema of a request's body that holds these fields."""
        fields = list(fields)
        nullable = {f.GetOptions().Extensions[null_of] for f in message.fields}
        properties = {f.json_name: self.field(f, nullable=f.name in nullable) for f in fields}
        self.shared[message.name] = {
            **self._object(message, properties, [f.json_name for f in fields if is_required(f)]),
            **_dependents(message, fields),
            "additionalProperties": False,
        }
        return {"$ref": f"#/components/schemas/{message.name}"}

    def field(self, field: FieldDescriptor, *, nullable: bool = False) -> Schema:
        """Return the schema of a field of a request, within what its proto tells of its shape."""
        schema = self._shaped(field)
        if nullable:
            schema["type"] = [schema["type"], "null"]
        description = self.description(field.full_name)
        return {**schema, "description": description} if description else schema

    def _object(self, message: Descriptor, properties: Schema, required: list[str]) -> Schema:
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        description = self.description(message.full_name)
        return {**schema, "description": description} if description else schema

    def _shown(self, field: FieldDescriptor) -> Schema:
        value = map_value(field)
        if value is not None:
            schema: Schema = {"type": "object", "additionalProperties": self._kind(value)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._kind(field)}
        else:
            schema = self._kind(field)
        description = self.description(field.full_name)
        return {**schema, "description": description} if description else schema

    def _shaped(self, field: FieldDescriptor) -> Schema:
        told = field.GetOptions().Extensions[shape]
        value = map_value(field)
        if value is None:
            schema: Schema = self._kind(field)
            if field.is_repeated:
                schema = {"type": "array", "items": schema}
            if field.type == FieldDescriptor.TYPE_INT32:
                schema.update(_INT32)
            elif field.type == FieldDescriptor.TYPE_INT64:
                schema.update(_INT64)
            schema |= _text_shape(told)
            schema |= {"minimum": told.minimum} if told.HasField("minimum") else {}
            schema |= {"maximum": told.maximum} if told.HasField("maximum") else {}
            return schema
        schema = {
            "type": "object",
            "additionalProperties": self._kind(value) | _text_shape(told),
        }
        if told.max_entries:
            schema["maxProperties"] = told.max_entries
        if told.key_pattern:
            schema["propertyNames"] = {"pattern": told.key_pattern}
        return schema

    def _kind(self, field: FieldDescriptor) -> Schema:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if is_json_object(field):
            return {"type": "object"}
        message = field.message_type
        if message is None:
            return dict(_SCALARS[field.type])
        if message.full_name == Timestamp.DESCRIPTOR.full_name:
            return {"type": "string", "format": "date-time"}
        if message.full_name == NullableString.DESCRIPTOR.full_name:
            return {"type": ["string", "null"]}
        return self.shown(message)

    def _enum(self, enum: EnumDescriptor) -> Schema:
        by_word = words(enum).by_word
        names = {word: enum.values_by_number[number].name for word, number in by_word.items()}
        lines = [
            f"* `{word}`: {self.description(f'{enum.full_name}.{name}')}"
            for word, name in names.items()
        ]
        self.shared[enum.name] = {
            "type": "string",
            "enum": list(by_word),
            "description": "\n".join([self.description(enum.full_name), "", *lines]),
        }
        return {"$ref": f"#/components/schemas/{enum.name}"}


def _dependents(message: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
    """Return what the fields that may not be given alone need beside them; {} without any."""
    needs: Schema = {}
    for field in fields:
        told = field.GetOptions().Extensions[shape]
        if told.only_with:
            other = message.fields_by_name[told.only_with].json_name
            needs[field.json_name] = {
                "required": [other],
                "properties": {other: {"enum": list(told.only_with_words)}},
            }
    return {"dependentSchemas": needs} if needs else {}


def _text_shape(told: Any) -> Schema:
    found = {
        "pattern": told.pattern,
        "minLength": told.min_length,
        "maxLength": told.max_length,
        "format": told.format,
    }
    return {name: value for name, value in found.items() if value}
