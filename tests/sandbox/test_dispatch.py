"""moto's seam: the service of a host, which is found once and is the one that moto finds."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from moto import backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox.aws import dispatch

HOSTS = (
    "dynamodb",
    "127.0.0.1:4566",
    "states.us-east-1.amazonaws.com",
    "elasticloadbalancing.us-west-2.amazonaws.com",
    "dynamodbstreams",
    None,
)


APP = DomainDispatcherApplication(create_backend_app)


@pytest.fixture
def installed() -> Iterator[None]:
    take_back = dispatch.install()
    yield
    take_back()


def test_a_host_has_the_service_that_moto_finds() -> None:
    plain = [APP.get_backend_for_host(host) for host in HOSTS]
    take_back = dispatch.install()
    try:
        assert [APP.get_backend_for_host(host) for host in HOSTS] == plain
    finally:
        take_back()
    assert plain[0] == "dynamodb"
    assert plain[2] == "stepfunctions"


def test_moto_looks_for_it_once(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Mock(wraps=backends.list_of_moto_modules)
    monkeypatch.setattr(backends, "list_of_moto_modules", listed)
    assert {APP.get_backend_for_host("dynamodb") for _ in range(5)} == {"dynamodb"}
    assert listed.call_count == 1


def test_it_is_taken_back() -> None:
    original = DomainDispatcherApplication.get_backend_for_host
    dispatch.install()()
    assert DomainDispatcherApplication.get_backend_for_host is original
