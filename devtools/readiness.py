"""Asking a worker whether it is ready."""

import http.client

_DEADLINE_S = 1.0


def is_ready(port: int) -> bool:
    """Tell whether the worker whose health is on 127.0.0.1:`port` says it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
