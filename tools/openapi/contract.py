"""The contract as protoc hands it to its plugins: messages, enums and services by full name, and what is said of them."""

import re
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
"""Numbers of the fields of FileDescriptorProto, of which the paths of comments are made."""
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM = 2, 3, 4
MEMBER = 2
"""The values of an enum and the methods of a service."""


class Contract:
    """Names begin with their package and have no dot in front."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self.messages: dict[str, DescriptorProto] = {}
        self.enums: dict[str, EnumDescriptorProto] = {}
        self.services: dict[str, ServiceDescriptorProto] = {}
        self._comments: dict[str, str] = {}
        for file in files:
            self._read(file)

    def comment(self, *names: str) -> str:
        """What the contract says of a message, enum or service, or, with a second name, of one of its members."""
        return self._comments.get(".".join(names), "")

    def message_of(self, field: FieldDescriptorProto) -> DescriptorProto:
        return self.messages[field.type_name[1:]]

    def is_map(self, field: FieldDescriptorProto) -> bool:
        return field.type == FieldDescriptorProto.TYPE_MESSAGE and self.message_of(field).options.map_entry

    def _read(self, file: FileDescriptorProto) -> None:
        said = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for path, name in self._walk(file):
            if text := _in_paragraphs(said.get(path, "")):
                self._comments[name] = text

    def _walk(self, file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
        """Takes in all that a file declares; the path and the name of each thing."""
        for index, message in enumerate(file.message_type):
            yield from self._walk_message(message, (FILE_MESSAGE, index), file.package)
        for index, enum in enumerate(file.enum_type):
            yield from self._walk_enum(enum, (FILE_ENUM, index), file.package)
        for index, service in enumerate(file.service):
            name, path = f"{file.package}.{service.name}", (FILE_SERVICE, index)
            self.services[name] = service
            yield path, name
            yield from (((*path, MEMBER, at), f"{name}.{method.name}") for at, method in enumerate(service.method))

    def _walk_message(
        self, message: DescriptorProto, path: tuple[int, ...], parent: str
    ) -> Iterator[tuple[tuple[int, ...], str]]:
        name = f"{parent}.{message.name}"
        self.messages[name] = message
        yield path, name
        yield from (((*path, MESSAGE_FIELD, at), f"{name}.{field.name}") for at, field in enumerate(message.field))
        for index, nested in enumerate(message.nested_type):
            yield from self._walk_message(nested, (*path, MESSAGE_NESTED, index), name)
        for index, enum in enumerate(message.enum_type):
            yield from self._walk_enum(enum, (*path, MESSAGE_ENUM, index), name)

    def _walk_enum(
        self, enum: EnumDescriptorProto, path: tuple[int, ...], parent: str
    ) -> Iterator[tuple[tuple[int, ...], str]]:
        name = f"{parent}.{enum.name}"
        self.enums[name] = enum
        yield path, name
        yield from (((*path, MEMBER, at), f"{name}.{value.name}") for at, value in enumerate(enum.value))


def _in_paragraphs(comment: str) -> str:
    """A comment with its lines joined, the directives of tools left out, and its fields by their names in JSON."""
    lines = [line.strip() for line in comment.splitlines() if not line.strip().startswith("buf:lint:")]
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", "\n".join(lines)).strip()
    return re.sub(r"`([a-z]+(?:_[a-z0-9]+)+)`", lambda name: f"`{camel_case(name[1])}`", text)


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda letter: letter[1].upper(), name)
