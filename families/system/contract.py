"""The queues and job types of maintenance."""

from qcollector.jobs.v1 import system_pb2

__all__ = ["system_pb2"]
