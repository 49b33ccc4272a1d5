"""What the client library lets through of a connection that was closed under a call."""

import pytest
from redis import exceptions as redis_errors

from engine.connecting import closed_connections_told


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"),
        AttributeError("'NoneType' object has no attribute 'writelines'"),
        TypeError("'NoneType' object is not callable"),
    ],
)
def test_what_a_closed_socket_says_is_a_lost_connection(error: Exception) -> None:
    with pytest.raises(redis_errors.ConnectionError), closed_connections_told():
        raise error


def test_an_error_of_our_own_stays_what_it_is() -> None:
    with pytest.raises(AttributeError), closed_connections_told():
        raise AttributeError("'Store' object has no attribute 'rnu'")
