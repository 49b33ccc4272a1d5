"""The queues and job types of work on files."""

from qcollector.jobs.v1 import file_pb2

__all__ = ["file_pb2"]
