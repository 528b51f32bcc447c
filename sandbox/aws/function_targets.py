"""Lambda functions as targets of a load balancer: who may be registered, and how one is invoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.elbv2.exceptions import ELBClientError

from sandbox.aws.execution import ThrottledError
from sandbox.aws.policies import is_allowed
from sandbox.aws.runtime_api import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws.execution import ExecutionEnvironments

_PRINCIPAL = {"Service": "elasticloadbalancing.amazonaws.com"}


def check_registration(group_arn: str, function_arn: str) -> None:
    """Raises the error of RegisterTargets, unless the function permits Elastic Load Balancing to invoke it."""
    function = _function(function_arn)
    statements = [
        statement
        for statement in (function.policy.statements if function.policy else ())
        if statement.get("Principal") == _PRINCIPAL
    ]
    context = {"AWS:SourceArn": group_arn, "AWS:SourceAccount": DEFAULT_ACCOUNT_ID}
    if not is_allowed([{"Statement": statements}], "lambda:InvokeFunction", function_arn, context):
        raise ELBClientError(
            "AccessDenied",
            f"elasticloadbalancing principal does not have permission to invoke {function_arn} "
            f"from target group {group_arn}",
        )


def invoker(environments: ExecutionEnvironments) -> Callable[[str, bytes], Answer]:
    """How the front door invokes a function, by its ARN: in an execution environment, as everybody does."""

    def invoke(function_arn: str, event: bytes) -> Answer:
        try:
            return environments.invoke(_function(function_arn), event)
        except ThrottledError:
            return Answer.error("TooManyRequestsException", "Rate Exceeded.")

    return invoke


def _function(arn: str) -> Any:
    return lambda_backends[DEFAULT_ACCOUNT_ID][arn.split(":")[3]].get_function(arn)
