"""A function that calls where it is told to, and answers what came of it."""

import os
import urllib.error
import urllib.request
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

SECONDS = 1.0


def handler(event: dict[str, Any], _context: object) -> Any:
    if "region" in event:
        once = Config(retries={"total_max_attempts": 1}, connect_timeout=SECONDS, read_timeout=SECONDS)
        try:
            boto3.client("sts", region_name=event["region"], config=once).get_caller_identity()
        except BotoCoreError as error:
            return type(error).__name__
        return "answered"
    if "url" in event:
        try:
            with urllib.request.urlopen(event["url"], timeout=SECONDS) as answer:  # noqa: S310 - the test's own
                return answer.read().decode()
        except (OSError, urllib.error.URLError):
            return "silence"
    return {"statusCode": 200, "body": os.environ["AWS_REGION"]}
