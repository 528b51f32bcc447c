"""What the public linters say of the templates and the state machines. Nothing here needs a network or credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cfnlint.api import lint, lint_all
from statelint.linter import Linter

from tests.template import documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cfnlint.rules import Match

SUB_OF_NONE = "W1020"
"""The translator fills the parameters into a layer's properties and leaves the emptied Fn::Sub behind."""
NOT_EVERYWHERE = "Resource type 'AWS::Lambda::Url' does not exist in "
"""AWS has function URLs in all Regions but the youngest: there people cannot answer by a link, and no stack deploys."""
SAM = documents.ROOT / ".venv-sam/bin/sam"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "template.yaml" else pytest.mark.long) for name in documents.STACKS]
)
def test_sam_validates_a_template(name: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),  # the CLI writes a settings file there
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [str(SAM), "validate", "--lint", "--template-file", str(documents.STACKS[name])]
    done = subprocess.run(
        command, cwd=documents.ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _deep() -> Iterator[None]:
    """cfn-lint goes a step deeper for each line of a definition, and the translator joins a thousand lines."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * usual)
    yield
    sys.setrecursionlimit(usual)


def faults_among(findings: list[Match]) -> list[str]:
    return [
        str(found)
        for found in findings
        if not found.rule.id.startswith("I") and found.rule.id != SUB_OF_NONE and NOT_EVERYWHERE not in found.message
    ]


@pytest.mark.parametrize("name", documents.STACKS)
def test_cfn_lint_finds_nothing_in_an_expanded_template(name: str) -> None:
    """On the expanded text it knows runtimes, IAM actions and properties, which it does not see in SAM's."""
    text = json.dumps(documents.expanded_alone(name))
    assert faults_among(lint(text, regions=["us-east-1", "us-east-2", "us-west-2"])) == []


@pytest.mark.long
@pytest.mark.parametrize("name", documents.STACKS)
def test_cfn_lint_finds_nothing_in_any_region(name: str) -> None:
    assert faults_among(lint_all(json.dumps(documents.expanded_alone(name)))) == []


@pytest.mark.parametrize("name", documents.STATE_MACHINES)
def test_statelint_finds_nothing(name: str) -> None:
    assert Linter.validate(documents.machine(name)) == []
