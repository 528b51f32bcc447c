"""Nested templates: room for what a release adds, held to the same rules as template.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from tests.template import documents, nesting

MAIN = documents.parse(documents.TEMPLATE)
STACKS = {each["Properties"]["Location"]: each for each in nesting.applications(MAIN).values()}


@pytest.mark.parametrize("name", documents.STACKS)
def test_a_template_holds_what_a_release_adds(name: str) -> None:
    """CloudFormation takes 500 resources a template, counted after SAM's expansion (AWS CloudFormation quotas)."""
    assert len(documents.expanded_alone(name)["Resources"]) <= 480


def test_every_nested_template_is_deployed_once() -> None:
    assert sorted(STACKS) == sorted(documents.NESTED)
    assert len(nesting.applications(MAIN)) == len(STACKS)


@pytest.mark.parametrize("name", documents.NESTED)
def test_a_nested_templates_functions_are_as_all_others(name: str) -> None:
    """Its Globals are template.yaml's, with what template.yaml gives in the place of parameters."""
    assert nesting.in_place(documents.parse(documents.NESTED[name]), STACKS[name])["Globals"] == MAIN["Globals"]


@pytest.mark.parametrize("name", documents.NESTED)
def test_no_nested_template_nests_another(name: str) -> None:
    assert nesting.applications(documents.parse(documents.NESTED[name])) == {}


@pytest.mark.parametrize("name", documents.NESTED)
def test_a_nested_parameter_has_no_default_that_would_hide_a_missing_one(name: str) -> None:
    parameters = documents.parse(documents.NESTED[name])["Parameters"]
    assert [parameter for parameter, rules in parameters.items() if "Default" in rules] == []


def test_what_is_on_the_way_of_traffic_stays_in_the_main_template() -> None:
    """A nested stack is one more thing that an update can leave half done."""
    nested = [documents.parse(path)["Resources"].values() for path in documents.NESTED.values()]
    handlers = [
        str(each["Properties"]["Handler"]).partition(".")[0]
        for resources in nested
        for each in resources
        if "Handler" in each["Properties"]
    ]
    assert not set(handlers) & {"failover", "health", "recovery", "region", "traffic_shift"}


def small(**resource: Any) -> dict[str, Any]:
    return {
        "Parameters": {"KeyArn": {"Type": "String"}, "Subnets": {"Type": "CommaDelimitedList"}},
        "Conditions": {"InVpc": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Subnets"}]}, ""]}]}},
        "Resources": {"Inner": {"Type": "AWS::SNS::Topic", "Properties": resource}},
        "Outputs": {"InnerArn": {"Value": {"Ref": "Inner"}}},
    }


def around(**more: Any) -> dict[str, Any]:
    given = {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}, "Subnets": {"Fn::Join": [",", {"Ref": "VpcSubnetIds"}]}}
    application = {"Location": "stacks/small.yaml", "Parameters": given}
    return {
        "Conditions": {},
        "Resources": {
            "Small": {"Type": nesting.APPLICATION, "Properties": application, **more},
            "Outer": {"Type": "AWS::SNS::Topic", "Properties": {"A": {"Fn::GetAtt": ["Small", "Outputs.InnerArn"]}}},
        },
    }


def test_parameters_become_what_they_are_given_and_outputs_what_they_tell() -> None:
    inner = small(Key={"Ref": "KeyArn"}, Text={"Fn::Sub": "${KeyArn}/${Inner}"}, In={"Ref": "Subnets"}, CodeUri="../f/")
    whole = nesting.flattened(around(Condition="HasEntry"), {"stacks/small.yaml": inner})
    assert whole["Resources"]["Inner"] == {
        "Type": "AWS::SNS::Topic",
        "Condition": "HasEntry",
        "Properties": {
            "Key": {"Fn::GetAtt": ["Key", "Arn"]},
            "Text": {"Fn::Sub": "${Key.Arn}/${Inner}"},
            "In": {"Ref": "VpcSubnetIds"},
            "CodeUri": "f/",
        },
    }
    assert whole["Resources"]["Outer"]["Properties"] == {"A": {"Ref": "Inner"}}
    assert whole["Conditions"] == {
        "InVpc": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "VpcSubnetIds"}]}, ""]}]}
    }
    assert "Small" not in whole["Resources"]


def test_one_name_means_one_thing_in_all_templates() -> None:
    main = around()
    main["Conditions"]["InVpc"] = {"Fn::Equals": ["a", "a"]}
    with pytest.raises(ValueError, match="InVpc is another condition"):
        nesting.flattened(main, {"stacks/small.yaml": small()})
    main = around()
    main["Resources"]["Inner"] = main["Resources"]["Outer"]
    with pytest.raises(ValueError, match="'Inner'"):
        nesting.flattened(main, {"stacks/small.yaml": small()})


def test_a_parameter_that_is_not_given_is_found() -> None:
    main = around()
    del main["Resources"]["Small"]["Properties"]["Parameters"]["KeyArn"]
    with pytest.raises(ValueError, match="KeyArn"):
        nesting.flattened(main, {"stacks/small.yaml": small()})
