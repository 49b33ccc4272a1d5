"""The queues and job types of mail."""

from qcollector.jobs.v1 import email_pb2

__all__ = ["email_pb2"]
