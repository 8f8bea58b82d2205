"""Ports of this machine: which are free, and who answers on them."""

from __future__ import annotations

import contextlib
import http.client
import socket

from aggregator.ops.errors import ChildFailed

HTTP_OK = 200


def port_free(port: int) -> int:
    """Return the port, or one the system chooses where it is 0.

    Raises
    ------
    ChildFailed
        If somebody listens there.
    """
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ChildFailed(
                f"port {port} of 127.0.0.1 is taken ({error.strerror}): choose another"
            ) from error
        number: int = probe.getsockname()[1]
        return number


def answers_health(port: int) -> bool:
    """Tell whether the process that listens there is ready."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", "/healthz")
        return line.getresponse().status == HTTP_OK
    except OSError:
        return False
    finally:
        line.close()
