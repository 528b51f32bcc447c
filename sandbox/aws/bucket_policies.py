"""Bucket policies as S3 obeys them, conditions too: what one denies is denied, whatever a role's policies allow.

moto looks at a bucket's policy without its conditions, so that "nothing without TLS" would deny everything. Here it
looks no more, and the authorizer asks this module. What comes from a role comes by TLS: loopback stands for it. Only
denials matter, for everybody is of one account, whose roles need nothing beside their own policies.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from sandbox.aws.policies import is_denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EVERYBODY: Final = ("*", {"AWS": "*"}, {"AWS": ["*"]})


def install() -> Callable[[], None]:
    """Have moto leave policies of buckets to the authorizer. The result takes it back."""
    original = FakeBucket.get_permission

    def get_permission(_bucket: Any, _action: str, _resource: str) -> Any:
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = get_permission

    def take_back() -> None:
        FakeBucket.get_permission = original

    return take_back


def denies(account: str, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether the policy of the resource's bucket denies the action to everybody.

    Raises NotImplementedError for a policy that denies to somebody in particular: nothing here understands that yet.
    """
    name = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    bucket = s3_backends[account]["aws"].buckets.get(name)
    if bucket is None or not bucket.policy:
        return False
    document = json.loads(bucket.policy)
    statements = document["Statement"]
    denying = [each for each in statements if each["Effect"] == "Deny"]
    if any(each["Principal"] not in _EVERYBODY for each in denying):
        raise NotImplementedError(f"the policy of {name} denies to some principals only: sandbox.aws.bucket_policies")
    return is_denied([document], action, resource, context)
