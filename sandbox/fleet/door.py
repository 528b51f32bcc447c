"""The front door's own process: a proxy, and the parent's orders for it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from sandbox.fleet.proxy import Proxy
from sandbox.fleet.routing import Roads, Routing

if TYPE_CHECKING:
    from collections.abc import Sequence


async def obey(proxy: Proxy) -> None:
    """Takes the parent's JSON lines from standard input and answers them, until the parent closes it."""
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        message = json.loads(line)
        result: Any = None
        match message["do"]:
            case "apply":
                proxy.apply(Routing.from_json(message["routing"]))
            case "roads":
                proxy.take_roads(Roads(**message["roads"]))
            case "health":
                result = [(*key, health.state) for key, health in proxy.checks.health.items()]
            case "counters":
                result = proxy.counters()
            case "invoked":
                proxy.invocations.take(message)
                continue
        _say({"id": message["id"], "result": result})


def _say(message: dict[str, Any]) -> None:
    """One line for the parent."""
    print(json.dumps(message), flush=True)


async def run(options: argparse.Namespace) -> None:
    """Serves until the parent closes standard input."""
    proxy = Proxy(seed=options.seed, idle_timeout_seconds=options.idle_timeout_seconds, ask=_say)
    server = await asyncio.start_server(proxy.serve, options.address, options.port, backlog=1024)
    address, port = server.sockets[0].getsockname()[:2]
    print(f"ready http://{address}:{port}", flush=True)
    await obey(proxy)


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m sandbox.fleet.frontdoor`; see `frontdoor.FrontDoor`."""
    parser = argparse.ArgumentParser(description="A stand-in for an Application Load Balancer")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=0, help="of the weighted choice")
    parser.add_argument("--idle-timeout-seconds", type=float, default=60.0)
    asyncio.run(run(parser.parse_args(arguments)))
