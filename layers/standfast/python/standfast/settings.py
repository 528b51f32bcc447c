"""What the template tells a function through its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """Names and ARNs of one Region's stack. `region` is the scope id too.

    `answer_url` and `link_key_id` are given to the functions alone that ask a person or take the answer, `verdict_url`
    (this Region's condemnation endpoint) to the watch of the Regions, `hosted_zone_id` to those that write records.
    """

    region: str
    fleet: str
    table: str
    region_table: str
    failover_arn: str
    recovery_arn: str
    pages_arn: str
    notices_arn: str
    event_bus: str
    answer_url: str = ""
    link_key_id: str = ""
    verdict_url: str = ""
    hosted_zone_id: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the environment. Raises InvalidInputError with every variable that is missing."""
        source = os.environ if environment is None else environment
        names = {
            "region": "AWS_REGION",
            "fleet": "STANDFAST_FLEET",
            "table": "STANDFAST_TABLE",
            "region_table": "STANDFAST_REGION_TABLE",
            "failover_arn": "STANDFAST_FAILOVER_ARN",
            "recovery_arn": "STANDFAST_RECOVERY_ARN",
            "pages_arn": "STANDFAST_PAGES_ARN",
            "notices_arn": "STANDFAST_NOTICES_ARN",
            "event_bus": "STANDFAST_EVENT_BUS",
        }
        missing = sorted(variable for variable in names.values() if not source.get(variable))
        if missing:
            raise InvalidInputError(f"the environment lacks {', '.join(missing)}; the template's Globals set them")
        given = {name: source[variable] for name, variable in names.items()}
        some = {
            "answer_url": "STANDFAST_ANSWER_URL",
            "link_key_id": "STANDFAST_LINK_KEY_ID",
            "verdict_url": "STANDFAST_VERDICT_URL",
            "hosted_zone_id": "STANDFAST_HOSTED_ZONE_ID",
        }
        return cls(**given, **{name: source.get(variable, "") for name, variable in some.items()})

    def machine_arn(self, region: str, machine: str) -> str:
        """The ARN of a state machine of this fleet's stack in a Region."""
        arn, partition, service, _, account, kind, _ = self.failover_arn.split(":")
        return ":".join((arn, partition, service, region, account, kind, f"{self.fleet}-{machine}"))

    def config_bucket(self, region: str) -> str:
        """The configuration bucket of this fleet in a Region, by the name that the template gives it."""
        return f"{self.fleet}-config-{self.failover_arn.split(':')[4]}-{region}"

    def ledger_bucket(self, region: str) -> str:
        """The bucket of the ledger's reports in a Region, by the name that the template gives it."""
        return f"{self.fleet}-ledger-{self.failover_arn.split(':')[4]}-{region}"

    def backup_bucket(self, region: str) -> str:
        """The bucket of backups and of the state journal in a Region, by the name that the template gives it."""
        return f"{self.fleet}-backups-{self.failover_arn.split(':')[4]}-{region}"

    def request_table(self, region: str) -> str:
        """The table of requests in flight of a Region, by the name that the template gives it."""
        return f"{self.fleet}-requests-{region}"

    @property
    def config_parameter(self) -> str:
        """The parameter that names the version in force, by the name that the template gives it."""
        return f"/{self.fleet}/config"

    def model_bucket(self, region: str) -> str:
        """The model bucket of this fleet in a Region: names of buckets are global, so account and Region are in it."""
        return f"{self.fleet}-models-{self.failover_arn.split(':')[4]}-{region}"
