"""From a template to CloudFormation: staged once and alike, parameters checked, nothing dropped in silence."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws import consumption, templates

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"Shared": Path("layers/shared"), "Packages": None}
TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Name: {Type: String, AllowedPattern: '[a-z]+'}
  Days: {Type: Number, Default: 30, AllowedValues: [7, 30]}
  Size: {Type: Number, Default: 2, MinValue: 1, MaxValue: 4}
Globals:
  Function: {Runtime: python3.13, CodeUri: functions/, Layers: [!Ref Shared, !Ref Packages]}
Resources:
  Shared:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: makefile}
    Properties: {ContentUri: layers/shared}
  Packages:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: makefile}
    Properties: {ContentUri: layers/packages}
  First: {Type: AWS::Serverless::Function, Properties: {Handler: first.handler}}
  Second: {Type: AWS::Serverless::Function, Properties: {Handler: second.handler, CodeUri: functions/}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: machine.asl.yaml, DefinitionSubstitutions: {First: !GetAtt First.Arn}}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name in ("functions/first.py", "functions/second.py", "layers/shared/python/shared.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"NAME = '{name}'\n")
    (tmp_path / "machine.asl.yaml").write_text("StartAt: Do\nStates: {Do: {Type: Pass, End: true}}\n")
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE)
    return template


@pytest.fixture(autouse=True)
def a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def expand(
    app: Path, parameters: dict[str, str] | None = None, layers: Mapping[str, Path | None] = LAYERS
) -> templates.Expanded:
    return templates.expand(app, {"Name": "x", **(parameters or {})}, bucket="b", layers=layers)


def found(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in document["Resources"].values() if resource["Type"] == kind]


def test_functions_that_share_a_folder_share_one_zip(app: Path) -> None:
    expanded = expand(app)
    codes = {function["Code"]["S3Key"] for function in found(expanded.document, "AWS::Lambda::Function")}
    (key,) = codes
    with zipfile.ZipFile(io.BytesIO(expanded.objects[key])) as archive:
        assert archive.namelist() == ["first.py", "second.py"]


def test_a_zip_depends_on_content_alone(app: Path) -> None:
    before = expand(app).objects
    folder = app.parent / "functions"
    (folder / "first.py").touch()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "first.pyc").write_bytes(b"compiled")
    assert expand(app).objects == before
    (folder / "first.py").write_text("changed")
    assert expand(app).objects.keys() != before.keys()


def test_a_built_layer_is_what_the_mapping_says_or_empty(app: Path) -> None:
    expanded = expand(app)
    names = []
    for layer in found(expanded.document, "AWS::Lambda::LayerVersion"):
        with zipfile.ZipFile(io.BytesIO(expanded.objects[layer["Content"]["S3Key"]])) as archive:
            names.append(archive.namelist())
    assert sorted(names) == [[], ["python/shared.py"]]


def test_a_built_layer_is_not_guessed(app: Path) -> None:
    with pytest.raises(templates.TemplateError, match="Packages is built by `sam build`"):
        expand(app, layers={"Shared": Path("layers/shared")})


def test_a_state_machine_s_definition_is_staged_as_it_is(app: Path) -> None:
    expanded = expand(app)
    (machine,) = found(expanded.document, "AWS::StepFunctions::StateMachine")
    assert expanded.objects[machine["DefinitionS3Location"]["Key"]] == (app.parent / "machine.asl.yaml").read_bytes()
    assert set(machine["DefinitionSubstitutions"]) == {"First"}


def test_an_include_is_the_file_that_it_names(app: Path) -> None:
    included = "  Report: {Type: AWS::SSM::Document, Properties: {Content: {'Fn::Transform': {Name: AWS::Include, "
    app.write_text(f"{app.read_text()}{included}Parameters: {{Location: documents/report.yaml}}}}}}}}}}\n")
    with pytest.raises(templates.TemplateError, match=r"there is no file documents/report\.yaml"):
        templates.expand(app, {"Name": "x"}, bucket="b", layers=LAYERS)
    (app.parent / "documents").mkdir()
    (app.parent / "documents" / "report.yaml").write_text("schemaVersion: '2.2'\nmainSteps: [{name: one}]\n")
    expanded = templates.expand(app, {"Name": "x"}, bucket="b", layers=LAYERS)
    content = expanded.document["Resources"]["Report"]["Properties"]["Content"]
    assert content == {"schemaVersion": "2.2", "mainSteps": [{"name": "one"}]}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Name": "UPPER"}, "Name: 'UPPER' does not match"),
        ({"Days": "8"}, "Days: '8' is not one of"),
        ({"Size": "9"}, "Size: '9' is more than 4"),
        ({"Size": "0"}, "Size: '0' is less than 1"),
        ({"Nmae": "x"}, "has no parameter Nmae"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(app: Path, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(templates.TemplateError, match=message):
        expand(app, parameters)


def test_a_parameter_without_a_default_must_be_given(app: Path) -> None:
    with pytest.raises(templates.TemplateError, match="Name has no default"):
        templates.expand(app, {}, bucket="b", layers=LAYERS)


def unconsumed(resource: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(consumption.NotConsumedError) as caught:
        consumption.check("t.yaml", {"Resources": {"It": resource}, **sections})
    return [str(each) for each in caught.value.found]


def test_an_unknown_type_fails_by_name() -> None:
    assert unconsumed({"Type": "AWS::Neptune::DBCluster"}) == ["t.yaml: It (AWS::Neptune::DBCluster): the type"]


def test_an_unknown_property_fails_by_its_whole_path() -> None:
    resource = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {"SSESpecification": {"SSEEnabled": True, "Cipher": "rot13"}, "Colour": "red"},
    }
    assert unconsumed(resource) == [
        "t.yaml: It (AWS::DynamoDB::Table): SSESpecification.Cipher",
        "t.yaml: It (AWS::DynamoDB::Table): Colour",
    ]


def test_a_property_is_looked_for_in_lists_and_on_both_sides_of_an_if() -> None:
    either = {"Fn::If": ["C", {"Runtime": "x", "Hot": 1}, {"Ref": "AWS::NoValue"}]}
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Id": "1"}, either]}}
    assert unconsumed(rule) == [
        "t.yaml: It (AWS::Events::Rule): Targets.Runtime",
        "t.yaml: It (AWS::Events::Rule): Targets.Hot",
    ]


def test_an_intrinsic_function_that_moto_lacks_fails_by_name() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Length": ["a"]}}}
    assert unconsumed(queue) == ["t.yaml: It (AWS::SQS::Queue): Fn::Length"]


def test_update_policies_and_unknown_sections_fail_too() -> None:
    group = {"Type": "AWS::SQS::Queue", "UpdatePolicy": {}}
    assert unconsumed(group, Rules={}) == [
        "t.yaml: Rules (template): section",
        "t.yaml: It (AWS::SQS::Queue): UpdatePolicy",
    ]


@pytest.mark.parametrize("name", ["gpu-cluster.yaml", "regional-entry.yaml", "global-routing.yaml"])
def test_the_infrastructure_is_consumed_whole(name: str) -> None:
    consumption.check(name, yaml_parse((ROOT / "infrastructure" / name).read_text()))


def test_every_inert_property_has_a_reason() -> None:
    for declared in consumption.TYPES.values():
        assert all(len(reason) > 10 for reason in declared.inert.values()), declared.name
        assert not set(declared.inert) & set(declared.consumes), declared.name
