"""A team's gateway in front of the entry, in a process of its own: it runs `standfast_gateway`, as a team installs it.

It acts under a role that has what docs/requests.md says that a gateway needs, and nothing more.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.fleet.asgi import Forwarder, Server
from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GATEWAY_ACTIONS: Final = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
"""On the table of requests; docs/requests.md names them."""
PIECE_SECONDS: Final = 0.5
# This machine is AWS, the fleet and its clients in one: DynamoDB may take seconds here, where AWS takes milliseconds.
ACCEPT_SECONDS: Final = 20.0
ALIVE_SECONDS: Final = 30.0


class Gateway:
    """Parent's handle. `variables`: the credentials of its role and where AWS is."""

    def __init__(
        self, entry_url: str, table: str, region: str, variables: Mapping[str, str], *, log: Path | None = None
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._child = Child(
            "gateway",
            (sys.executable, "-m", "sandbox.fleet.gateway", entry_url, table, region),
            environment={**kept, **variables},
            log=log,
        )
        self.url = self._child.wait_until_ready()

    def close(self) -> None:
        """Ends the process at once: it hands nothing over. May be called again."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def run(entry_url: str, table: str, region: str) -> None:
    """Serves until the parent closes standard input."""
    from standfast_gateway import JournalMiddleware, RequestJournal, Settings

    settings = Settings(
        table=table,
        scope=region,
        piece_seconds=PIECE_SECONDS,
        accept_seconds=ACCEPT_SECONDS,
        alive_seconds=ALIVE_SECONDS,
    )
    journal = RequestJournal(settings)
    await journal.start()
    app: Any = JournalMiddleware(Forwarder(entry_url), journal)
    server = await asyncio.start_server(Server(app).serve, "127.0.0.1", 0, backlog=1024)
    address, port = server.sockets[0].getsockname()[:2]
    print(f"ready http://{address}:{port}", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await orders.read()
    server.close()
    await journal.close()


def main(arguments: Sequence[str]) -> None:
    """Arguments: the entry's URL, the table, the Region."""
    asyncio.run(run(*arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
