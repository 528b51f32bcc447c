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
    from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
PLAIN_LIMIT, PROBING_LIMIT = 1.6, 2.0
PROBING = frozenset({"watch_endpoints", "probe_standbys", "verify_serving", "check_drain"})
_REFERENCE = "import boto3; boto3.client('dynamodb', region_name='us-east-1')"
_TIMED = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"


def run_bench(console: Console) -> dict[str, Any]:
    """Measure, print a table, and return the figures: milliseconds (median of 7) and ratios to the reference."""
    python = ROOT / ".venv-runtime" / "bin" / "python"
    reference = _milliseconds(python, _REFERENCE)
    table = Table(title=f"cold start: import of a handler, median of {ROUNDS}, against boto3 and one client")
    for heading in ("handler", "ms", "ratio", "at most"):
        table.add_column(heading, justify="left" if heading == "handler" else "right")
    table.add_row("import boto3 + one client", f"{reference:.0f}", "1.00", "")
    handlers: dict[str, Any] = {}
    for path in sorted((ROOT / "functions").glob("*/*.py")):
        spent = _milliseconds(python, f"import {path.parent.name}.{path.stem}; {_FIRST_CLIENT}")
        limit = PROBING_LIMIT if path.stem in PROBING else PLAIN_LIMIT
        handlers[path.stem] = {"milliseconds": round(spent, 1), "ratio": round(spent / reference, 2), "limit": limit}
        table.add_row(path.stem, f"{spent:.0f}", f"{spent / reference:.2f}", f"{limit:.1f}")
    console.print(table)
    return {"reference_milliseconds": round(reference, 1), "handlers": handlers}


_FIRST_CLIENT = "from standfast import bootstrap; bootstrap.cluster_table()"


def _milliseconds(python: Path, code: str) -> float:
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
    command = [str(python), "-c", _TIMED.format(code=code)]
    spent = []
    for _ in range(ROUNDS + 1):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{code}\n{done.stderr}")
        spent.append(float(done.stdout) * 1000)
    return median(spent[1:])  # the first writes the bytecode
