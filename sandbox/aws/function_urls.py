"""Function URLs: a small web server on loopback for each, which invokes its function as Lambda does.

Source: "Invoking Lambda function URLs" in AWS's user guide: the request becomes an event of payload format 2.0, the
answer is what the function returns, or 502 when that is no answer. A URL without authentication wants two permissions
for everybody: lambda:InvokeFunctionUrl, and lambda:InvokeFunction by way of a function URL.
"""

from __future__ import annotations

import base64
import json
import select
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.aws.network import ROUND_TRIPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.network import Network

_ACTIONS: Final = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
_TEXT: Final = ("text/", "application/json", "application/javascript", "application/xml")
_MOST_BYTES: Final = 6 * 1024 * 1024
_HELD_SECONDS: Final = 10.0
"""How long a connection that does not get through is kept: longer than anybody waits."""
_servers: Final[list[ThreadingHTTPServer]] = []
_network: list[Network] = []


def install(network: Network) -> Callable[[], None]:
    """Have this network between the URLs and whoever asks. The result takes it away."""
    _network.append(network)
    return _network.clear


def open_url(function: Any) -> str:
    """The URL of a function (moto's object) from now on."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(function))
    server.daemon_threads = True
    _servers.append(server)
    Thread(target=server.serve_forever, name=f"URL of {function.function_name}", daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def close() -> None:
    """Close all. May be called again."""
    while _servers:
        server = _servers.pop()
        server.shutdown()
        server.server_close()


def event(method: str, path: str, headers: Mapping[str, str], body: bytes, client_address: str) -> dict[str, Any]:
    """The event that a function gets for a request. A form is binary to Lambda: it arrives in base64."""
    parts, now = urlsplit(path), time.time()
    named = {name.lower(): value for name, value in headers.items()}
    http = {
        "method": method,
        "path": parts.path,
        "protocol": "HTTP/1.1",
        "sourceIp": client_address,
        "userAgent": named.get("user-agent", ""),
    }
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": named,
        "requestContext": {
            "accountId": "anonymous",
            "http": http,
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": round(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if query := dict(parse_qsl(parts.query, keep_blank_values=True)):
        found["queryStringParameters"] = query
    if body:
        is_text = named.get("content-type", "").startswith(_TEXT)
        found["isBase64Encoded"] = not is_text
        found["body"] = body.decode("utf-8", "replace") if is_text else base64.b64encode(body).decode()
    return found


def answer(returned: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what a function returned. What has no statusCode is JSON with 200."""
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return 200, {"content-type": "application/json"}, json.dumps(returned).encode()
    body = str(returned.get("body") or "")
    content = base64.b64decode(body) if returned.get("isBase64Encoded") else body.encode()
    headers = {str(name): str(value) for name, value in (returned.get("headers") or {}).items()}
    return int(returned["statusCode"]), headers, content


def is_public(function: Any) -> bool:
    """Whether everybody may invoke it by its URL, without signing."""
    statements = function.policy.statements if function.policy else []
    everybody = {each["Action"] for each in statements if each.get("Principal") in ("*", {"AWS": "*"})}
    return function.url_config.config.get("AuthType") == "NONE" and everybody.issuperset(_ACTIONS)


def _invoke(function: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    from moto.awslambda.models import lambda_backends
    from moto.core import DEFAULT_ACCOUNT_ID

    if not is_public(function):
        return 403, {}, b'{"Message":"Forbidden"}'
    failed: dict[str, str] = {}
    backend = lambda_backends[DEFAULT_ACCOUNT_ID][function.region]
    try:
        payload = backend.invoke(function.function_arn, None, json.dumps(request), {}, failed)
        if "x-amz-function-error" in failed:
            return 502, {}, b"Internal Server Error"
        return answer(json.loads(payload or b"null"))
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller of a URL sees no more than a status
        return (429 if "Rate Exceeded" in str(error) else 502), {}, b"Internal Server Error"


def _gets_through(address: str, region: str) -> bool:
    """Whether a connection from this address reaches the Region, after the time of its way."""
    for network in _network:
        source = network.source(address)
        if not network.reaches(source, region):
            return False
        time.sleep(ROUND_TRIPS * network.round_trip(source, region))
    return True


def _handler(function: Any) -> type[BaseHTTPRequestHandler]:
    def respond(self: BaseHTTPRequestHandler) -> None:
        if not _gets_through(self.client_address[0], function.region):
            self.close_connection = True
            select.select([self.connection], [], [], _HELD_SECONDS)  # until the caller is gone
            return
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(min(length, _MOST_BYTES))
        made = event(self.command, self.path, dict(self.headers.items()), body, self.client_address[0])
        status, headers, content = _invoke(function, made)
        with suppress(ConnectionError):  # whoever asked is gone
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    silent: Callable[..., None] = lambda *_: None  # noqa: E731
    methods = {f"do_{method}": respond for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}
    return type("FunctionUrl", (BaseHTTPRequestHandler,), {**methods, "log_message": silent})
