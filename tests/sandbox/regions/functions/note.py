"""A function that notes where it runs."""

import json
import os


def handler(event, _context):
    print(json.dumps({"region": os.environ["AWS_REGION"], "by": event.get("by", event.get("source"))}))
    return os.environ["AWS_REGION"]
