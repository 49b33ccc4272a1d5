"""Contracts that a test writes itself, in protobuf's text format, loaded as a plugin's generated modules would be."""

import itertools
from operator import attrgetter

import pytest
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import strategies as st

from contract.catalog import Catalog, catalog_of, load_catalog
from contract.declarations import JobType

IMPORTS = (
    "buf/validate/validate.proto",
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    "qcollector/jobs/v1/options.proto",
)

OWN_FILES = sorted(
    {job_type.payload.DESCRIPTOR.file for job_type in load_catalog().types.values()}, key=attrgetter("name")
)
"""Those of the project's contract that declare job types."""

_counter = itertools.count()


def declare(text: str, package: str = "") -> FileDescriptor:
    """Loads a file of a package of its own; `PKG` in the text stands for the package."""
    number = next(_counter)
    package = package or f"declared{number}"
    file = FileDescriptorProto(name=f"declared{number}.proto", package=package, syntax="proto3", dependency=IMPORTS)
    text_format.Parse(text.replace("PKG", package), file)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(file.name)


def serve(*texts: str) -> Catalog:
    """The catalog of the project's contract and of files with these texts."""
    return catalog_of([*OWN_FILES, *(declare(text) for text in texts)])


def queue(name: str = "declared:work", more: str = "") -> str:
    return f'options {{ [qcollector.jobs.v1.queue] {{ name: "{name}" family: "declared" {more} }} }}\n'


def message(name: str, fields: str = "", option: str = "") -> str:
    declared = f"options {{ [qcollector.jobs.v1.job_type] {{ {option} }} }}" if option else ""
    return f'message_type {{ name: "{name}" {fields} {declared} }}\n'


def work(name: str = "Work", word: str = "work", fields: str = "", more: str = "") -> str:
    """A job type of the queue that `queue` declares, with the result message `Done`."""
    return message(name, fields, f'queue: "declared:work" type: "{word}" result: "Done" {more}')


DONE = message("Done")

EVERY_KIND = """
enum_type {
  name: "ExportFormat"
  value { name: "EXPORT_FORMAT_UNSPECIFIED" number: 0 }
  value { name: "EXPORT_FORMAT_CSV" number: 1 }
  value { name: "EXPORT_FORMAT_TEMP_FILES" number: 2 }
}
message_type {
  name: "Kinds"
  field { name: "some_text" number: 1 type: TYPE_STRING }
  field { name: "small" number: 2 type: TYPE_INT32 }
  field { name: "large" number: 3 type: TYPE_INT64 }
  field { name: "positive" number: 4 type: TYPE_UINT32 }
  field { name: "ratio" number: 5 type: TYPE_DOUBLE }
  field { name: "single" number: 6 type: TYPE_FLOAT }
  field { name: "yes" number: 7 type: TYPE_BOOL }
  field { name: "octets" number: 8 type: TYPE_BYTES }
  field { name: "format" number: 9 type_name: ".PKG.ExportFormat" }
  field { name: "created_at" number: 10 type_name: ".google.protobuf.Timestamp" }
  field { name: "time_span" number: 11 type_name: ".google.protobuf.Duration" }
  field { name: "free" number: 12 type_name: ".google.protobuf.Struct" }
  field { name: "anything" number: 13 type_name: ".google.protobuf.Value" }
  field { name: "items" number: 14 type_name: ".google.protobuf.ListValue" }
  field { name: "wrapped" number: 15 type_name: ".google.protobuf.Int64Value" }
  field { name: "texts" number: 16 label: LABEL_REPEATED type: TYPE_STRING }
  field { name: "formats" number: 17 label: LABEL_REPEATED type_name: ".PKG.ExportFormat" }
  field { name: "inner" number: 18 type_name: ".PKG.Kinds" }
  field { name: "inners" number: 19 label: LABEL_REPEATED type_name: ".PKG.Kinds" }
  field { name: "by_name" number: 20 label: LABEL_REPEATED type_name: ".PKG.Kinds.ByNameEntry" }
  field { name: "by_number" number: 21 label: LABEL_REPEATED type_name: ".PKG.Kinds.ByNumberEntry" }
  field { name: "either" number: 22 type: TYPE_STRING oneof_index: 0 }
  field { name: "or_this" number: 23 type: TYPE_INT32 oneof_index: 0 }
  field { name: "maybe" number: 24 type: TYPE_INT32 oneof_index: 1 proto3_optional: true }
  nested_type {
    name: "ByNameEntry"
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".PKG.Kinds" }
    options { map_entry: true }
  }
  nested_type {
    name: "ByNumberEntry"
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
    options { map_entry: true }
  }
  oneof_decl { name: "choice" }
  oneof_decl { name: "_maybe" }
  options { [qcollector.jobs.v1.job_type] { queue: "declared:work" type: "kinds" result: "Done" } }
}
"""


@pytest.fixture(scope="session")
def kinds() -> JobType:
    """A type whose payload has a field of every kind."""
    return serve(queue() + DONE + EVERY_KIND).type("declared:work", "kinds")


@pytest.fixture(scope="session")
def any_type(catalog: Catalog, kinds: JobType) -> st.SearchStrategy[JobType]:
    """Every second time the type that has all kinds of fields, else one of the catalog."""
    return st.just(kinds) | st.sampled_from(list(catalog.types.values()))
