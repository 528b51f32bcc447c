"""Parameters of a template, checked as CloudFormation checks them: moto does not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class TemplateError(ValueError):
    """A template, or the parameters for it, cannot be deployed. The message says what to mend."""


def resolve_parameters(document: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter with its value, checked as CloudFormation checks them (moto does not). Raises TemplateError."""
    declared: Mapping[str, Mapping[str, Any]] = document.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}; it has {', '.join(sorted(declared))}")
    resolved: dict[str, str] = {}
    for name, rules in declared.items():
        if name not in given and "Default" not in rules:
            raise TemplateError(f"parameter {name} has no default: give it a value")
        resolved[name] = str(given.get(name, rules.get("Default")))
        problem = _refusal(resolved[name], rules)
        if problem:
            raise TemplateError(f"parameter {name}: '{resolved[name]}' {problem}")
    return resolved


def _refusal(value: str, rules: Mapping[str, Any]) -> str | None:
    if "AllowedValues" in rules and value not in {str(each) for each in rules["AllowedValues"]}:
        return f"is not one of {rules['AllowedValues']}"
    if "AllowedPattern" in rules and re.fullmatch(rules["AllowedPattern"], value) is None:
        return f"does not match {rules['AllowedPattern']}"
    if "MinValue" in rules and float(value) < float(rules["MinValue"]):
        return f"is less than {rules['MinValue']}"
    if "MaxValue" in rules and float(value) > float(rules["MaxValue"]):
        return f"is more than {rules['MaxValue']}"
    return None
