"""Function URLs: the event that a function gets, the answer that a browser gets, and who may ask."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from moto.awslambda.models import LambdaBackend

from sandbox.aws import function_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYBODY = [
    {"Action": "lambda:InvokeFunctionUrl", "Principal": "*"},
    {"Action": "lambda:InvokeFunction", "Principal": "*"},
]


@dataclass
class Policy:
    statements: list[dict[str, str]]


@dataclass
class Config:
    config: dict[str, str]


@dataclass
class Function:
    """As moto has it, as far as it is used."""

    function_name: str = "page"
    function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:page"
    region: str = "us-east-1"
    policy: Policy = field(default_factory=lambda: Policy(list(EVERYBODY)))
    url_config: Config = field(default_factory=lambda: Config({"AuthType": "NONE"}))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events of a function that answers with what it was asked."""
    events: list[dict[str, Any]] = []

    def invoke(_: Any, name: str, qualifier: Any, body: str, headers: Any, response_headers: dict[str, str]) -> bytes:
        events.append(json.loads(body))
        if events[-1]["rawPath"] == "/fails":
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps({"statusCode": 201, "headers": {"X-Page": "1"}, "body": "hello"}).encode()

    monkeypatch.setattr(LambdaBackend, "invoke", invoke)
    return events


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        yield client
    function_urls.close()


def test_a_request_becomes_an_event_of_format_2(asked: list[dict[str, Any]], browser: httpx.Client) -> None:
    url = function_urls.open_url(Function())
    found = browser.get(f"{url}?q=1&s=a-b_c")
    assert (found.status_code, found.text, found.headers["x-page"]) == (201, "hello", "1")
    (event,) = asked
    assert (event["version"], event["rawQueryString"]) == ("2.0", "q=1&s=a-b_c")
    assert event["queryStringParameters"] == {"q": "1", "s": "a-b_c"}
    assert event["requestContext"]["http"]["method"] == "GET"
    assert "body" not in event


def test_a_form_arrives_in_base64(asked: list[dict[str, Any]], browser: httpx.Client) -> None:
    browser.post(function_urls.open_url(Function()), data={"decision": "approve"})
    (event,) = asked
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"decision=approve"


def test_a_function_that_fails_shows_nothing_of_it(asked: list[dict[str, Any]], browser: httpx.Client) -> None:
    found = browser.get(f"{function_urls.open_url(Function())}fails")
    assert (found.status_code, found.text) == (502, "Internal Server Error")


@pytest.mark.parametrize(
    "function",
    [
        Function(policy=Policy(EVERYBODY[:1])),
        Function(policy=Policy(EVERYBODY[1:])),
        Function(policy=Policy([])),
        Function(url_config=Config({"AuthType": "AWS_IAM"})),
    ],
)
def test_a_url_wants_both_permissions(function: Function, asked: list[dict[str, Any]], browser: httpx.Client) -> None:
    assert browser.get(function_urls.open_url(function)).status_code == 403
    assert asked == []
