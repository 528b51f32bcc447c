"""The published schema and the example are what the code accepts."""

import json
from pathlib import Path

import yaml

from standfast.fleet import FleetConfig

ROOT = Path(__file__).resolve().parents[2]


def test_the_published_schema_is_the_present_one() -> None:
    published = json.loads((ROOT / "docs" / "fleet-config.schema.json").read_text())
    assert published == FleetConfig.model_json_schema(), "run `make schema`"


def test_the_example_is_accepted_and_says_the_defaults() -> None:
    document = yaml.safe_load((ROOT / "infrastructure" / "fleet.example.yaml").read_text())
    config = FleetConfig.parse(document)
    spelled_out = {key: document[key] for key in ("detection", "failover")}
    defaults = FleetConfig.parse({key: value for key, value in document.items() if key not in spelled_out})
    assert config == defaults
