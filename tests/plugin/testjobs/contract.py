"""The contract of the test job types."""

from testjobs.v1 import testjobs_pb2 as testjobs_pb2
