"""boto3 clients with short time-outs, and the one place where AWS's errors become ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from standfast.errors import AccessDeniedError, StandfastError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 1
READ_SECONDS = 3

# https://docs.aws.amazon.com/general/latest/gr/api-retries.html and each service's list of common errors.
_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",  # two Regions wrote one item at once: try again (MRSC global tables)
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation"}
)
_SERVER_ERROR = 500


def config(*, attempts: int) -> Config:
    """Client settings: `attempts` calls in all, 1 s to connect and 3 s to answer each."""
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what botocore raises into errors of ours. `what` says which call, for the message.

    A code that has no translation is a fault in Standfast or its template and is raised as StandfastError.
    """
    try:
        yield
    except ClientError as error:
        raise _translate(what, error) from error
    except ParamValidationError as error:
        raise StandfastError(f"{what}: {error}") from error
    except BotoCoreError as error:
        raise UnavailableError(f"{what}: no answer ({error})") from error


def _translate(what: str, error: ClientError) -> StandfastError:
    details = error.response.get("Error", {})
    said = f"{what}: {details.get('Code', 'no code')}: {details.get('Message', 'no message')}"
    code = details.get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED:
        return ThrottledError(said)
    if code in _DENIED:
        return AccessDeniedError(said)
    if status >= _SERVER_ERROR:
        return UnavailableError(said)
    return StandfastError(said)


def error_code(error: ClientError) -> str:
    """The error's code, such as ConditionalCheckFailedException."""
    return error.response.get("Error", {}).get("Code", "")
