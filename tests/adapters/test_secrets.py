"""The engines' API key on Secrets Manager."""

from __future__ import annotations

import logging
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.secrets import FRESH_SECONDS, SecretsManager
from standfast.errors import AccessDeniedError, InvalidInputError, ThrottledError

KEY = "sk-sesame-open-0123456789"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(aws: str) -> Any:
    return boto3.client("secretsmanager", region_name=aws)


def stored(client: Any, text: str = KEY, name: str = "chat/api-key") -> str:
    """Store a secret. Gives its ARN."""
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    return str(client.create_secret(Name=name, SecretString=text)["ARN"])


def test_the_key_is_the_secrets_text_without_the_line_feed_of_an_editor(client: Any, aws: str) -> None:
    assert SecretsManager(aws, client).read(stored(client, f"{KEY}\n")) == KEY


def test_a_region_reads_its_own_replica(client: Any, aws: str) -> None:
    elsewhere = stored(client).replace(aws, "eu-west-1")
    assert SecretsManager(aws, client).read(elsewhere) == KEY


def test_a_key_is_kept_for_five_minutes_and_then_read_anew(client: Any, aws: str) -> None:
    clock, arn = Clock(), stored(client)
    secrets = SecretsManager(aws, client, clock)
    secrets.read(arn)
    client.put_secret_value(SecretId=arn, SecretString="rotated")
    clock.now += FRESH_SECONDS - 1
    assert secrets.read(arn) == KEY
    clock.now += 1
    assert secrets.read(arn) == "rotated"


def test_a_key_that_cannot_be_read_anew_is_used_on(client: Any, aws: str) -> None:
    clock, arn = Clock(), stored(client)
    secrets = SecretsManager(aws, client, clock)
    secrets.read(arn)
    clock.now += FRESH_SECONDS
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "ThrottlingException", http_status_code=400)
        assert secrets.read(arn) == KEY
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException", http_status_code=400)
        with pytest.raises(AccessDeniedError):
            secrets.read(arn)


def test_a_key_that_was_never_read_is_an_error(client: Any, aws: str) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "ThrottlingException", http_status_code=400)
        with pytest.raises(ThrottledError):
            SecretsManager(aws, client).read("arn:aws:secretsmanager:us-east-1:123456789012:secret:chat-AbCdEf")


def test_a_secret_that_is_not_there_is_named(client: Any, aws: str) -> None:
    gone = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gone-AbCdEf"
    with pytest.raises(InvalidInputError, match=r"there is no secret .*gone-AbCdEf in this Region"):
        SecretsManager(aws, client).read(gone)


@pytest.mark.parametrize("text", [f'{{"api_key": "{KEY}"}}', f"{KEY}\nX-Other: 1", "sésame", "two words"])
def test_a_secret_that_is_no_key_is_refused_without_telling_it(client: Any, aws: str, text: str) -> None:
    with pytest.raises(InvalidInputError, match="store the key itself as plain text") as found:
        SecretsManager(aws, client).read(stored(client, text))
    assert text not in str(found.value)


def test_a_binary_secret_is_refused(client: Any, aws: str) -> None:
    arn = str(client.create_secret(Name="binary", SecretBinary=b"\x00\x01")["ARN"])
    with pytest.raises(InvalidInputError, match="not as binary"):
        SecretsManager(aws, client).read(arn)


def test_a_key_is_never_logged(client: Any, aws: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, arn = Clock(), stored(client)
    secrets = SecretsManager(aws, client, clock)
    with caplog.at_level(logging.INFO):
        secrets.read(arn)
        client.put_secret_value(SecretId=arn, SecretString="rotated-key")
        clock.now += FRESH_SECONDS
        secrets.read(arn)
    assert "the API key is now version" in caplog.text
    assert KEY not in caplog.text
    assert "rotated-key" not in caplog.text
