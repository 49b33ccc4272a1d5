"""The queues and job types of exports."""

from qcollector.jobs.v1 import export_pb2

__all__ = ["export_pb2"]
