"""What a load balancer knows: rules, target groups and their targets. Plain data, as JSON between processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Roads:
    """How connections get to a front door, by the address that they come from.

    `seconds`: how long the way is to the first answer, for each address that is known. From those in `closed` nothing
    arrives; from all others, users and health checkers, nothing where `others_closed`.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    closed: Sequence[str] = ()
    others_closed: bool = False

    def is_closed(self, address: str) -> bool:
        """Whether nothing arrives from this address."""
        return address in self.closed or (self.others_closed and address not in self.seconds)


@dataclass(frozen=True, slots=True)
class Target:
    """One registered target: an instance or an address, and where it listens."""

    target_id: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets and how their health is checked: `GET health_path` must answer 200 within `timeout_seconds`.

    `function`: the ARN of the Lambda function that answers instead; it has no targets and no checks.
    """

    arn: str
    targets: tuple[Target, ...]
    health_path: str
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold: int
    unhealthy_threshold: int
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One forwarding rule. The smallest `priority` whose conditions all hold wins.

    `header`: a name and values (`*` and `?` are wildcards) of which one must fit, None for any request. `paths`:
    patterns, one of which must fit the path without its query; empty for any path. `weights`: target group ARN to
    0..999.
    """

    arn: str
    priority: int
    header: tuple[str, ...] | None
    paths: tuple[str, ...]
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Routing:
    """Everything that the front door needs to route a request. `target_groups` by ARN."""

    rules: tuple[Rule, ...] = ()
    target_groups: Mapping[str, TargetGroup] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON. `from_json` gives an equal value back."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises KeyError or TypeError for a field that is missing or unknown."""
        document = json.loads(text)
        return cls(
            rules=tuple(_rule(rule) for rule in document["rules"]),
            target_groups={arn: _target_group(group) for arn, group in document["target_groups"].items()},
        )


def _rule(document: dict[str, Any]) -> Rule:
    header = document.pop("header")
    return Rule(
        **{
            **document,
            "header": None if header is None else tuple(header),
            "paths": tuple(document["paths"]),
        }
    )


def _target_group(document: dict[str, Any]) -> TargetGroup:
    targets = tuple(Target(**target) for target in document["targets"])
    return TargetGroup(**{**document, "targets": targets})
