"""The client: the application's tasks as typed calls, each of which enqueues a job and returns its handle."""

from families.analytics.client import AnalyticsCalls
from families.email.client import EmailCalls
from families.exports.client import ExportCalls
from families.files.client import FileCalls
from families.system.client import SystemCalls


class JobClient(EmailCalls, FileCalls, ExportCalls, AnalyticsCalls, SystemCalls):
    """A connection to the job service, with the tasks of every family; see client.calls.Calls.

    A plugin adds its own: `class Client(GreetingCalls, JobClient)`.
    """
