"""The contract of the job types of `make chaos`."""

from chaosjobs.v1 import chaosjobs_pb2 as chaosjobs_pb2
