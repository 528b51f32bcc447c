"""In the process of a function, before anything else: its connections come from its Region's address.

Beside it the names that users ask are found by the sandbox's name server, as that Region's resolver finds them. Nothing
of it is Standfast's: it stands for the network that a function is attached to. Where `SANDBOX_SOURCE` is not set
nothing is changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import urllib.parse
from typing import Any

SOURCE = os.environ.pop("SANDBOX_SOURCE", "")
NAMES = os.environ.pop("SANDBOX_NAMES", "")
"""A file with the name server's address, once there is one."""
REGION = os.environ.get("AWS_REGION", "")
ANSWER_SECONDS = 2.0
_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen with the peer, so that one address has ports enough
_ANY = "0.0.0.0"  # noqa: S104 - what a socket has that is bound to nothing

_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo


def connect(self: socket.socket, address: Any) -> None:
    """`socket.connect` from the Region's address."""
    if self.family == socket.AF_INET and self.getsockname()[0] == _ANY:
        with contextlib.suppress(OSError):  # not Linux: there nobody can tell Regions apart
            self.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            self.bind((SOURCE, 0))
    _connect(self, address)


def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
    """`socket.getaddrinfo`, which knows the names of the sandbox: they end in `.test`."""
    name = host.decode() if isinstance(host, bytes) else host
    found = _ask(name) if isinstance(name, str) and name.endswith(".test") else None
    return _getaddrinfo(found or host, port, *arguments, **named)


def _ask(name: str) -> str | None:
    """The address of a name, None where nobody knows it. HTTP by hand, to load no more than a socket."""
    query = urllib.parse.urlencode({"name": name, "region": REGION})
    try:
        with open(NAMES) as file:  # noqa: PTH123 - pathlib would be loaded for this alone
            server, _, port = file.read().strip().partition(":")
        with socket.create_connection((server, int(port)), ANSWER_SECONDS) as asked:
            asked.sendall(f"GET /resolve?{query} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: asked.recv(65536), b""))
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["address"])
    except (OSError, ValueError, KeyError):
        return None


if SOURCE:
    socket.socket.connect = connect  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = getaddrinfo
