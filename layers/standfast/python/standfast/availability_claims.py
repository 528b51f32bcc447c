"""What the original design states of its availability, and what its own formulas give for the same inputs. Pure.

Its calculator: a cluster is up while `n // 2` of its n GPUs are, each up or down by itself (a binomial); of several
clusters one is enough. Kept as it is, faults and all, so that the figures can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from standfast.availability import MINUTES_PER_YEAR, PERFECT, Part, k_of_n
from standfast.errors import InvalidInputError

SOURCE = "the original design, section Availability Calculation, and Results for what was achieved"
GPU_AVAILABILITY = 0.995


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure as stated, and what the design's formula gives, both as unavailability; None where there is none."""

    what: str
    stated: float | None
    by_formula: float | None
    formula: str
    remark: str


def cluster_unavailability(gpus: int, gpu_availability: float = GPU_AVAILABILITY) -> float:
    """The original's `calculate_cluster_availability`, as 1 - A: fewer than `gpus // 2` GPUs are up."""
    if gpus < 1:
        raise InvalidInputError(f"gpus is {gpus}: give 1 or more")
    if not 0 <= gpu_availability <= 1:
        raise InvalidInputError(f"gpu_availability is {gpu_availability}: give a share, 0 to 1")
    needed = gpus // 2
    gpu = Part(1 - gpu_availability, 0.0)
    return (k_of_n(needed, gpus, gpu) if needed else PERFECT).unavailability


def several_unavailability(unavailability: float, number: int) -> float:
    """The original's `calculate_multi_cluster_availability`, as 1 - A: all of them are down at once."""
    return float(unavailability**number)


def minutes(unavailability: float) -> float:
    """Minutes in a year of 365 days."""
    return unavailability * MINUTES_PER_YEAR


def claims() -> tuple[Claim, ...]:
    """Every figure that the original states, in its order, with what its formula makes of the same inputs."""
    cluster = cluster_unavailability(4)
    return (
        Claim("one GPU", 0.005, None, "", "assumed, without a source"),
        Claim(
            "a cluster of 4 GPUs, half of them needed",
            0.001,
            cluster,
            "1 - binom.cdf(1, 4, 0.995)",
            "its formula takes GPUs for independent and nothing else to fail",
        ),
        Claim(
            "two clusters, active and passive",
            0.0001,
            several_unavailability(0.001, 2),
            "1 - (1 - 0.999)^2",
            f"from its stated cluster; from the formula's it would be {several_unavailability(cluster, 2):.1e} down",
        ),
        Claim(
            "two Regions, both active",
            0.00005,
            several_unavailability(0.0001, 2),
            "1 - (1 - 0.9999)^2",
            "from its stated two clusters; no time to switch, no fault in common",
        ),
        Claim("achieved", 0.00006, None, "", "no window, no method, and none of the figures above"),
        Claim(
            "a standby of 2 GPUs", None, cluster_unavailability(2), "1 - binom.cdf(0, 2, 0.995)", "not stated: 1 of 2"
        ),
        Claim("a cluster of 1 GPU", None, cluster_unavailability(1), "1 - binom.cdf(-1, 1, 0.995)", "needs 1 // 2 = 0"),
        Claim("a cluster of 3 GPUs", None, cluster_unavailability(3), "1 - binom.cdf(0, 3, 0.995)", "needs 3 // 2 = 1"),
    )
