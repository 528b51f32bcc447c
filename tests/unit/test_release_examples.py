"""The event that starts a release, as it stands in docs/events, through the rule that the template owns."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.events import _body
from standfast.fleet import parse_input
from standfast.release_steps import ReleaseInput, as_asked
from tests.template.documents import ROOT, parse


def test_the_event_that_the_page_shows_starts_a_release_through_the_rule() -> None:
    (entry,) = json.loads((ROOT / "docs/events/model_version_ready.json").read_text())
    machine = parse(ROOT / "stacks/releases.yaml")["Resources"]["FleetRelease"]
    rule: dict[str, Any] = machine["Properties"]["Events"]["VersionReady"]["Properties"]
    assert rule["Pattern"] == {"source": [entry["Source"]], "detail-type": [entry["DetailType"]]}
    event = {"id": "e1", "detail": json.loads(entry["Detail"])}
    given = json.loads(_body({"InputTransformer": rule["InputTransformer"]}, event))
    asked = parse_input(ReleaseInput, as_asked(given), "the event")
    assert (asked.version, asked.by, asked.event_id) == ("v8", "CI, run 1234", "e1")
