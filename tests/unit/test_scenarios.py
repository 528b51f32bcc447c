"""The scenarios' names are there at once: no AWS is loaded to list them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.scenarios import SCENARIOS, TITLES, TOUR_STOPS

ROOT = Path(__file__).resolve().parents[2]
LISTED = (
    "import sys; from sandbox.__main__ import main; main(['list']); "
    "sys.exit(', '.join(sorted({'moto', 'boto3', 'botocore', 'httpx'} & set(sys.modules))))"
)


def test_the_list_loads_no_aws() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(TITLES)


def test_every_scenario_is_listed_under_its_own_name() -> None:
    assert all(name == scenario.name and scenario.title for name, scenario in SCENARIOS.items())


def test_the_tour_breaks_every_region_once() -> None:
    regions = [region for _, region in TOUR_STOPS]
    assert len(set(regions)) == len(regions)
