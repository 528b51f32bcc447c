"""What is wrong with a field, and what to do about it: patterns of names and ARNs, and errors in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

IDENTIFIER: Final = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"
REGION: Final = r"^[a-z]{2}(-[a-z]+)+-\d$"
_ARN: Final = r"^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:"
RULE_ARN: Final = _ARN + r"listener-rule/app/.+$"
TARGET_GROUP_ARN: Final = _ARN + r"targetgroup/.+$"
KEY_ARN: Final = r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$"

_MENDS: Final = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not a known field; remove it or mend its spelling",
    "dict_type": "is not a mapping; write `name: value` below it",
}
_PATTERN_MENDS: Final = {
    REGION: "is no AWS Region; write it as us-east-1",
    IDENTIFIER: "is no identifier; use 2 to 32 of a-z, 0-9 and -, beginning with a letter and not ending with -",
    RULE_ARN: "is not the ARN of an Application Load Balancer's listener rule; copy it from the rule",
    TARGET_GROUP_ARN: "is not the ARN of a target group; copy it from the target group",
    KEY_ARN: "is not the ARN of a secret; copy it from Secrets Manager, with the six characters at its end",
}


def in_words(error: ValidationError) -> str:
    """Every wrong field by its path, with what to do."""
    return "; ".join(f"{_path(item['loc'])} {_mend(item)}" for item in error.errors())


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the document"


def _mend(found: ErrorDetails) -> str:
    pattern = found.get("ctx", {}).get("pattern")
    known = _PATTERN_MENDS.get(pattern) if pattern else _MENDS.get(found["type"])
    return known or "- " + found["msg"].removeprefix("Value error, ")
