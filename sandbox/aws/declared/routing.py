"""Route 53: health checks and records. Its API is one for all Regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.aws.resources import Created, ResourceType, pick

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties


def _health_check(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "route53", "create_health_check", CallerReference=context.name,
        HealthCheckConfig=properties["HealthCheckConfig"],
    )["HealthCheck"]  # fmt: skip
    if tags := properties.get("HealthCheckTags"):
        context.call(
            "route53", "change_tags_for_resource", ResourceType="healthcheck", ResourceId=answer["Id"], AddTags=tags
        )
    return Created(answer["Id"], {"HealthCheckId": answer["Id"]})


def _record(context: Context, properties: Properties) -> Created:
    _change(context, "CREATE", properties)
    return Created(properties["Name"], {"Zone": properties["HostedZoneId"], "Set": properties.get("SetIdentifier", "")})


def _delete_record(context: Context, created: Created) -> None:
    zone, name = created.attributes["Zone"], created.physical_id.rstrip(".")
    known = context.call("route53", "list_resource_record_sets", HostedZoneId=zone)["ResourceRecordSets"]
    changes = [
        {"Action": "DELETE", "ResourceRecordSet": record}
        for record in known
        if record["Name"].rstrip(".") == name and record.get("SetIdentifier", "") == created.attributes["Set"]
    ]
    if changes:
        context.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _update_record(context: Context, created: Created, properties: Properties) -> Created:
    _change(context, "UPSERT", properties)
    return created


def _change(context: Context, action: str, properties: Properties) -> None:
    values = properties.get("ResourceRecords")
    record: dict[str, Any] = pick(
        properties, "Name", "Type", "SetIdentifier", "Weight", "Region", "GeoLocation", "HealthCheckId", "TTL",
        "AliasTarget",
    ) | {"ResourceRecords": None if values is None else [{"Value": value} for value in values]}  # fmt: skip
    context.call(
        "route53", "change_resource_record_sets", HostedZoneId=properties["HostedZoneId"],
        ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": _given(record)}]},
    )  # fmt: skip


def _given(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


TYPES = (
    ResourceType(
        "AWS::Route53::HealthCheck",
        consumes=("HealthCheckConfig.*", "HealthCheckTags.*"),
        create=_health_check, attributes=("HealthCheckId",),
        delete=lambda context, created: context.call(
            "route53", "delete_health_check", HealthCheckId=created.physical_id
        ),
    ),
    ResourceType(
        "AWS::Route53::RecordSet",
        consumes=("HostedZoneId", "Name", "Type", "SetIdentifier", "Weight", "Region", "GeoLocation.*", "HealthCheckId",
                  "TTL", "ResourceRecords", "AliasTarget.*"),
        create=_record, update=_update_record, delete=_delete_record,
    ),
)  # fmt: skip
