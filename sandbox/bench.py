"""Cold starts: what a function's import costs beside `import boto3` and one client, in one run on one machine.

Times of two machines do not compare; ratios of one run do. Each measurement is a new process of the interpreter that
the workers use, with bytecode, as the layers ship it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
PLAIN_LIMIT, PROBING_LIMIT = 1.6, 2.0
PROBING = frozenset(
    {
        "watch_endpoints",
        "watch_regions",
        "handle_alarm",
        "probe_endpoints",
        "probe_standbys",
        "verify_serving",
        "check_drain",
    }
)
REFERENCE = "import boto3 + one client"
_REFERENCE_CODE = "import boto3; boto3.client('dynamodb', region_name='us-east-1')"
_TIMED = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"


def run_bench(console: Console) -> dict[str, Any]:
    """Measure, print a table, and return the figures: milliseconds (median of 7) and ratios to the reference."""
    python = ROOT / ".venv-runtime" / "bin" / "python"
    paths = sorted((ROOT / "functions").glob("*/*.py"))
    codes = {path.stem: f"import {path.parent.name}.{path.stem}; {_FIRST_CLIENT}" for path in paths}
    spent = _milliseconds(python, {REFERENCE: _REFERENCE_CODE, **codes})
    reference = median(spent[REFERENCE])
    table = Table(title=f"cold start: import of a handler, median of {ROUNDS}, against boto3 and one client")
    for heading in ("handler", "ms", "ratio", "at most"):
        table.add_column(heading, justify="left" if heading == "handler" else "right")
    table.add_row(REFERENCE, f"{reference:.0f}", "1.00", "")
    handlers: dict[str, Any] = {}
    for name in codes:
        milliseconds = median(spent[name])
        ratio = median(mine / plain for mine, plain in zip(spent[name], spent[REFERENCE], strict=True))
        limit = PROBING_LIMIT if name in PROBING else PLAIN_LIMIT
        handlers[name] = {"milliseconds": round(milliseconds, 1), "ratio": round(ratio, 2), "limit": limit}
        table.add_row(name, f"{milliseconds:.0f}", f"{ratio:.2f}", f"{limit:.1f}")
    console.print(table)
    return {"reference_milliseconds": round(reference, 1), "handlers": handlers}


_FIRST_CLIENT = "from standfast import bootstrap; bootstrap.cluster_table()"


def _milliseconds(python: Path, codes: Mapping[str, str]) -> dict[str, list[float]]:
    """By name, what each code cost in each round. A round runs all of them: what slows the machine slows all alike."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'layers/standfast/python'}{os.pathsep}{ROOT / 'functions'}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        **dict.fromkeys(
            (
                "STANDFAST_TABLE",
                "STANDFAST_REGION_TABLE",
                "STANDFAST_FAILOVER_ARN",
                "STANDFAST_PAGES_ARN",
                "STANDFAST_NOTICES_ARN",
                "STANDFAST_EVENT_BUS",
            ),
            "none",
        ),
    }
    spent: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(ROUNDS + 1):
        for name, code in codes.items():
            command = [str(python), "-c", _TIMED.format(code=code)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{code}\n{done.stderr}")
            spent[name].append(float(done.stdout) * 1000)
    return {name: values[1:] for name, values in spent.items()}  # the first round writes the bytecode
