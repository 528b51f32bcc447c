"""The items of the request journal, as Standfast reads them: docs/requests.md, "The table". Pure.

A request is its HEAD (small: each change of it costs its whole size), its BODY, and a piece of text for each second of
its answer. A piece's name holds its writer's token, so that what a writer that was outrun writes is read by nobody.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

SCHEMA = 1
OPEN_INDEX = "open"
OPEN_PARTS = 4
"""An index's partition takes 1,000 writes a second: a Region's open requests lie in so many."""
ITEM_BYTES = 380_000
"""DynamoDB takes 400 KB an item; names and numbers need some."""
FIRST_TOKEN = 1

Item = dict[str, Any]


def head_key(request_id: str) -> Item:
    """The key of a request's head."""
    return {"pk": {"S": f"REQUEST#{request_id}"}, "sk": {"S": "HEAD"}}


def head(
    request_id: str,
    *,
    owner: str,
    scope: str,
    path: str,
    serving: str,
    caller: str,
    body_sha256: str,
    accepted_at: float,
    expires_at: float,
) -> Item:
    """A request that was just accepted. `caller`: the hash of who asked."""
    return {
        **head_key(request_id),
        "schema": _number(SCHEMA),
        "request_id": {"S": request_id},
        "state": {"S": "accepted"},
        "token": _number(FIRST_TOKEN),
        "owner": {"S": owner},
        "scope": {"S": scope},
        "open_in": {"S": f"{scope}#{part_of(request_id)}"},
        "path": {"S": path},
        "serving": {"S": serving},
        "caller": {"S": caller},
        "body_sha256": {"S": body_sha256},
        "accepted_at": _number(accepted_at),
        "claimed_until": _number(0),
        "expires_at": _number(int(expires_at)),
    }


def part_of(request_id: str) -> int:
    """In which part of the index a request lies while it is open."""
    return zlib.crc32(request_id.encode()) % OPEN_PARTS


def body(request_id: str, content: bytes, expires_at: float) -> Item:
    """What the client sent, packed."""
    return {
        "pk": {"S": f"REQUEST#{request_id}"},
        "sk": {"S": "BODY"},
        "schema": _number(SCHEMA),
        "body": {"B": zlib.compress(content)},
        "expires_at": _number(int(expires_at)),
    }


def piece_name(token: int, number: int) -> str:
    """The name of a piece: those of one writer are in order."""
    return f"OUT#{token:06d}#{number:08d}"


def piece(
    request_id: str, token: int, number: int, text: str, tokens: int, finish: str, expires_at: float, raw: bytes = b""
) -> Item:
    """A piece of an answer: text that was streamed, or an answer that came at once, packed as it is."""
    return {
        "pk": {"S": f"REQUEST#{request_id}"},
        "sk": {"S": piece_name(token, number)},
        "schema": _number(SCHEMA),
        "text": {"S": text},
        "tokens": _number(tokens),
        "finish": {"S": finish},
        "expires_at": _number(int(expires_at)),
        **({"raw": {"B": zlib.compress(raw)}} if raw else {}),
    }


def beat(gateway: str, alive_until: float, expires_at: float) -> Item:
    """A gateway's sign of life."""
    return {
        "pk": {"S": f"GATEWAY#{gateway}"},
        "sk": {"S": "BEAT"},
        "schema": _number(SCHEMA),
        "alive_until": _number(alive_until),
        "expires_at": _number(int(expires_at)),
    }


def serving_key(scope: str) -> Item:
    """The key under which Standfast says what a Region serves."""
    return {"pk": {"S": f"SERVING#{scope}"}, "sk": {"S": "NOW"}}


def size(item: Item) -> int:
    """About how many bytes an item has."""
    return sum(len(name) + sum(len(value) for value in attribute.values()) for name, attribute in item.items())


def id_of(key: str, caller: str) -> str:
    """The id of a request with an idempotency key: the same for the same key of the same caller, for nobody else."""
    return hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()[:32]


def _number(value: float) -> Item:
    return {"N": repr(value)}
