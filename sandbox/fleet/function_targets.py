"""A Lambda function as a target: the event that a load balancer makes of a request, and the answer that it makes of
what the function returns.

Source: "Use Lambda functions as targets of an Application Load Balancer" in AWS's user guide. Multi-value headers are
off, as they are by default: of headers of one name the last one counts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from sandbox.fleet.wire import Head

if TYPE_CHECKING:
    from collections.abc import Callable

INVOKE_SECONDS: Final = 30.0
_TEXT: Final = ("text/", "application/json", "application/javascript", "application/xml")


class NoAnswerError(Exception):
    """The function failed, or what it returned is no answer: the load balancer answers 502."""


def event(group_arn: str, request: Head, payload: bytes, client_address: str) -> str:
    """The event as JSON."""
    path, _, query = request.start[1].partition("?")
    headers = {name.lower(): value for name, value in request.headers}
    as_text = not payload or headers.get("content-type", "").startswith(_TEXT)
    return json.dumps(
        {
            "requestContext": {"elb": {"targetGroupArn": group_arn}},
            "httpMethod": request.start[0],
            "path": path,
            "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
            "headers": {**headers, "x-forwarded-for": client_address, "x-forwarded-proto": "http"},
            "body": payload.decode("utf-8", "replace") if as_text else base64.b64encode(payload).decode(),
            "isBase64Encoded": not as_text,
        }
    )


def answer(returned: str) -> tuple[Head, bytes]:
    """Status line, headers and body of what a function returned, as JSON. Raises NoAnswerError."""
    try:
        document = json.loads(returned)
        status = int(document["statusCode"])
        words = str(document.get("statusDescription", "")).split(" ", 1)
        body = str(document.get("body") or "")
        content = base64.b64decode(body, validate=True) if document.get("isBase64Encoded") else body.encode()
        headers = [(str(name), str(value)) for name, value in (document.get("headers") or {}).items()]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise NoAnswerError(f"not an answer: {returned[:200]!r}") from error
    if not 100 <= status <= 599:
        raise NoAnswerError(f"{status} is no status")
    kept = [header for header in headers if header[0].lower() not in ("connection", "content-length")]
    kept += [("Server", "awselb/2.0"), ("Content-Length", str(len(content)))]
    return Head(("HTTP/1.1", str(status), words[1] if len(words) > 1 else ""), tuple(kept)), content


class Invocations:
    """What this process has asked its parent to invoke. `ask` writes one message to the parent."""

    def __init__(self, ask: Callable[[dict[str, Any]], None]) -> None:
        self._ask = ask
        self._asked = 0
        self._under_way: dict[int, asyncio.Future[str]] = {}

    async def invoke(self, function_arn: str, payload: str) -> str:
        """What the function returned, as JSON. Raises NoAnswerError when it failed or took too long."""
        self._asked += 1
        number = self._asked
        returned: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._under_way[number] = returned
        try:
            self._ask({"invoke": number, "function": function_arn, "event": payload})
            async with asyncio.timeout(INVOKE_SECONDS):
                return await returned
        except TimeoutError as error:
            raise NoAnswerError(f"{function_arn} took more than {INVOKE_SECONDS:g} s") from error
        finally:
            self._under_way.pop(number, None)

    def take(self, message: dict[str, Any]) -> None:
        """The parent's answer to one of them; nobody may wait for it any more."""
        returned = self._under_way.get(message["invocation"])
        if returned is None or returned.done():
            return
        if message["is_error"]:
            returned.set_exception(NoAnswerError(message["returned"]))
        else:
            returned.set_result(message["returned"])
