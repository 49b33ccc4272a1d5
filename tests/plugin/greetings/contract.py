"""The queue, the job type and the service of greetings."""

from greetings.v1 import greetings_pb2

__all__ = ["greetings_pb2"]
