"""SNS, SQS, EventBridge and Scheduler: who is told of what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.aws.resources import Created, ResourceType, pick, tag_map

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties

_TOPIC_ATTRIBUTES: Final = ("DisplayName", "KmsMasterKeyId", "FifoTopic", "ContentBasedDeduplication")
_SUBSCRIPTION_ATTRIBUTES: Final = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")
_QUEUE_ATTRIBUTES: Final = (
    "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled", "FifoQueue",
    "ContentBasedDeduplication", "RedrivePolicy", "RedriveAllowPolicy",
)  # fmt: skip


def _topic(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "sns", "create_topic", Name=context.name,
        Attributes=pick(properties, *_TOPIC_ATTRIBUTES) or None, Tags=properties.get("Tags"),
    )  # fmt: skip
    arn = answer["TopicArn"]
    for subscription in properties.get("Subscription", []):
        context.call("sns", "subscribe", TopicArn=arn, **subscription)
    return Created(arn, {"TopicArn": arn, "TopicName": context.name})


def _subscription(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "sns", "subscribe", **pick(properties, "TopicArn", "Protocol", "Endpoint"), ReturnSubscriptionArn=True,
        Attributes=pick(properties, *_SUBSCRIPTION_ATTRIBUTES) or None,
    )  # fmt: skip
    return Created(answer["SubscriptionArn"])


def _topic_policy(context: Context, properties: Properties) -> Created:
    for topic in properties["Topics"]:
        context.call(
            "sns", "set_topic_attributes",
            TopicArn=topic, AttributeName="Policy", AttributeValue=properties["PolicyDocument"],
        )  # fmt: skip
    return Created(context.logical_id)


def _queue(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "sqs", "create_queue", QueueName=context.name,
        Attributes=pick(properties, *_QUEUE_ATTRIBUTES) or None, tags=tag_map(properties),
    )  # fmt: skip
    arn = f"arn:aws:sqs:{context.region}:{context.account}:{context.name}"
    return Created(
        answer["QueueUrl"], {"Arn": arn, "QueueName": context.name, "QueueUrl": answer["QueueUrl"]}
    )  # fmt: skip


def _update_queue(context: Context, created: Created, properties: Properties) -> Created:
    context.call(
        "sqs", "set_queue_attributes", QueueUrl=created.physical_id, Attributes=pick(properties, *_QUEUE_ATTRIBUTES)
    )
    return created


def _queue_policy(context: Context, properties: Properties) -> Created:
    for url in properties["Queues"]:
        context.call(
            "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": properties["PolicyDocument"]}
        )  # fmt: skip
    return Created(context.logical_id)


def _event_bus(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "events", "create_event_bus", Name=context.name,
        **pick(properties, "Description", "KmsKeyIdentifier", "DeadLetterConfig", "Tags"),
    )  # fmt: skip
    return Created(context.name, {"Arn": answer["EventBusArn"], "Name": context.name})


def _rule(context: Context, properties: Properties) -> Created:
    bus = pick(properties, "EventBusName")
    answer = context.call(
        "events", "put_rule", Name=context.name, **bus,
        **pick(properties, "Description", "EventPattern", "ScheduleExpression", "State", "RoleArn", "Tags"),
    )  # fmt: skip
    if properties.get("Targets"):
        context.call("events", "put_targets", Rule=context.name, Targets=properties["Targets"], **bus)
    on_a_bus = properties.get("EventBusName", "default") != "default"
    return Created(
        f"{properties['EventBusName']}|{context.name}" if on_a_bus else context.name, {"Arn": answer["RuleArn"]}
    )


def _schedule_group(context: Context, properties: Properties) -> Created:
    answer = context.call("scheduler", "create_schedule_group", Name=context.name, **pick(properties, "Tags"))
    return Created(context.name, {"Arn": answer["ScheduleGroupArn"]})


def _schedule(context: Context, properties: Properties) -> Created:
    answer = context.call("scheduler", "create_schedule", Name=context.name, **_when_and_what(properties))
    return Created(context.name, {"Arn": answer["ScheduleArn"]})


def _update_schedule(context: Context, created: Created, properties: Properties) -> Created:
    context.call("scheduler", "update_schedule", Name=context.name, **_when_and_what(properties))
    return created


def _when_and_what(properties: Properties) -> dict[str, Any]:
    return pick(
        properties, "GroupName", "Description", "ScheduleExpression", "ScheduleExpressionTimezone", "State",
        "FlexibleTimeWindow", "Target", "KmsKeyArn", "StartDate", "EndDate",
    )  # fmt: skip


TYPES: Final = (
    ResourceType(
        "AWS::SNS::Topic",
        consumes=("TopicName", *_TOPIC_ATTRIBUTES, "Subscription.Protocol", "Subscription.Endpoint", "Tags.*"),
        inert={"TracingConfig": "there is no X-Ray here", "SignatureVersion": "messages are not signed here"},
        create=_topic, name_property="TopicName", attributes=("TopicArn", "TopicName"),
        delete=lambda context, created: context.call("sns", "delete_topic", TopicArn=created.physical_id),
    ),
    ResourceType(
        "AWS::SNS::Subscription",
        consumes=("TopicArn", "Protocol", "Endpoint", "FilterPolicy.*", "FilterPolicyScope", "RawMessageDelivery",
                  "RedrivePolicy.*"),
        create=_subscription,
        delete=lambda context, created: context.call("sns", "unsubscribe", SubscriptionArn=created.physical_id),
    ),
    ResourceType("AWS::SNS::TopicPolicy", consumes=("Topics", "PolicyDocument.*"), create=_topic_policy,
                 update=lambda context, _, properties: _topic_policy(context, properties)),
    ResourceType(
        "AWS::SQS::Queue",
        consumes=("QueueName", *(name for name in _QUEUE_ATTRIBUTES if not name.startswith("Redrive")),
                  "RedrivePolicy.*", "RedriveAllowPolicy.*", "Tags.*"),
        create=_queue, update=_update_queue, name_property="QueueName", attributes=("Arn", "QueueName", "QueueUrl"),
        delete=lambda context, created: context.call("sqs", "delete_queue", QueueUrl=created.physical_id),
    ),
    ResourceType("AWS::SQS::QueuePolicy", consumes=("Queues", "PolicyDocument.*"), create=_queue_policy,
                 update=lambda context, _, properties: _queue_policy(context, properties)),
    ResourceType(
        "AWS::Events::EventBus",
        consumes=("Name", "Description", "KmsKeyIdentifier", "DeadLetterConfig.Arn", "Tags.*"),
        create=_event_bus, name_property="Name", attributes=("Arn", "Name"),
    ),
    ResourceType(
        "AWS::Events::Rule",
        consumes=("Name", "Description", "EventBusName", "EventPattern.*", "ScheduleExpression", "State", "RoleArn",
                  "Tags.*", "Targets.Id", "Targets.Arn", "Targets.RoleArn", "Targets.Input", "Targets.InputPath",
                  "Targets.InputTransformer.InputPathsMap.*", "Targets.InputTransformer.InputTemplate",
                  "Targets.RetryPolicy.*", "Targets.DeadLetterConfig.Arn"),
        create=_rule, update=lambda context, _, properties: _rule(context, properties), name_property="Name",
        attributes=("Arn",),
    ),
    ResourceType(
        "AWS::Scheduler::ScheduleGroup", consumes=("Name", "Tags.*"), create=_schedule_group,
        name_property="Name", attributes=("Arn",),
    ),
    ResourceType(
        "AWS::Scheduler::Schedule",
        consumes=("Name", "GroupName", "Description", "ScheduleExpression", "ScheduleExpressionTimezone", "State",
                  "KmsKeyArn", "StartDate", "EndDate", "FlexibleTimeWindow.*", "Target.Arn", "Target.RoleArn",
                  "Target.Input", "Target.RetryPolicy.*", "Target.DeadLetterConfig.Arn"),
        create=_schedule, update=_update_schedule, name_property="Name", attributes=("Arn",),
    ),
)  # fmt: skip
