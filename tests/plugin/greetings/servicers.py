"""GreetingService: one call that is a task, and one of its own."""

from typing import Final

from greetings.v1.greetings_pb2 import DESCRIPTOR, CountGreetingsRequest, CountGreetingsResponse
from service.dependencies import Context, Servicer
from service.permissions import Access, Rule
from service.serving import Serving


class GreetingServicer(Servicer):
    """The calls that are no tasks."""

    async def CountGreetings(self, request: CountGreetingsRequest, _context: Context) -> CountGreetingsResponse:
        return CountGreetingsResponse(count=len(request.name))


SERVICERS: Final = (
    Serving(DESCRIPTOR.services_by_name["GreetingService"], GreetingServicer, {"CountGreetings": Rule(Access.ANYBODY)}),
)
