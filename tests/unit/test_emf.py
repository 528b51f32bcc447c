"""Embedded metrics: the lines that CloudWatch reads out of the log."""

from __future__ import annotations

import json

import pytest

from standfast.emf import EmbeddedMetrics
from tests.builders import NOW


def test_a_line_holds_what_the_specification_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    EmbeddedMetrics("chat", "us-east-1").put({"WatchPasses": 5, "ActiveDown": 0}, NOW, resolution=1)
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["_aws"]["Timestamp"] == int(NOW * 1000)
    (about,) = said["_aws"]["CloudWatchMetrics"]
    assert (about["Namespace"], about["Dimensions"]) == ("Standfast", [["Fleet", "Region"]])
    assert about["Metrics"][0] == {"Name": "WatchPasses", "Unit": "Count", "StorageResolution": 1}
    assert {name: said[name] for name in ("Fleet", "Region", "WatchPasses", "ActiveDown")} == {
        "Fleet": "chat",
        "Region": "us-east-1",
        "WatchPasses": 5,
        "ActiveDown": 0,
    }


def test_a_cluster_is_a_dimension_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    EmbeddedMetrics("chat", "us-east-1").put({"ReplicasPassing": 4}, NOW, cluster_id="use1-a")
    said = json.loads(capsys.readouterr().out)
    assert said["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Fleet", "Region", "Cluster"]]
    assert said["Cluster"] == "use1-a"


def test_a_check_is_a_dimension_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    EmbeddedMetrics("chat", "us-east-1").put({"ClustersFailing": 1}, NOW, check="gpu")
    said = json.loads(capsys.readouterr().out)
    assert said["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Fleet", "Region", "Check"]]
    assert said["Check"] == "gpu"
