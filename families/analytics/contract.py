"""The queues and job types of analytics."""

from qcollector.jobs.v1 import analytics_pb2, analytics_service_pb2

__all__ = ["analytics_pb2", "analytics_service_pb2"]
