"""Bad releases, as the deployed judge finds them: shifted in the FleetConfig's stages, one Region after the other.

Each stage is shown to `judge.look` and `judge.judge`; what a look sees is made by `sandbox.releases`. Given up, the
weights of before are back. Where the judge asks a person, the stage stays as it is until one has come, and goes back
then. A Region that passed all stages has the bad release whole; once it is found out elsewhere, or was passed by all,
it lasts until it is rolled back. A share of the bad releases shows in no synthetic request: no judge stops these.

A good release loses no request, whatever is said of it; docs/rollouts.md counts those that are given up. Slow answers
lose none either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox import releases
from sandbox.releases import Effect
from sandbox.simulation.chance import exponential
from sandbox.simulation.script import BEGINNING, HOUR, YEAR, Fault, Kind, Reach, key_of, stream
from standfast.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.simulation.rates import Rates
    from standfast.fleet import FleetConfig

EFFECTS: Final = {
    "release_few_errors_share": Effect("few errors", errors=0.02),
    "release_many_errors_share": Effect("many errors", errors=0.2),
    "release_all_errors_share": Effect("all fails", errors=1.0),
    "release_wrong_share": Effect("wrong answers", wrong=0.1),
    "release_slow_share": Effect("slow", first_token=1.5, between_tokens=1.3),
}
"""What is bad, by the row of `rates.json` that says of how many."""
_STAGES: Final = 1 << 8
"""Numbers that a release has for its stages in all Regions."""


def bad_releases(
    config: FleetConfig, names: Sequence[str], rates: Rates, seed: int, year: int, seconds: float = YEAR
) -> list[Fault]:
    """The spells in which requests of a Region meet a bad release, of a fleet-year. `names`: the Regions, in order."""
    key, found = key_of(seed, year), []
    bad = rates["changes_per_year"] * rates["change_failure_share"]
    for number, at, (drawn, seen, which, _) in stream(key, Kind.RELEASE.name, bad / YEAR, seconds):
        restore = exponential(rates["change_restore_hours"] * HOUR, drawn)
        spells: Iterator[tuple[str, float, float, float]]
        if seen < rates["change_escape_share"]:
            spells = ((name, at, restore, 1.0) for name in names)
        else:
            effect = _effect(rates, which)
            spells = _rolled_out(config, names, rates, effect, f"{key}/{number}", at, restore)
        for place, (name, begins, lasts, share) in enumerate(spells):
            lots = (share, 0.0, 0.0)
            unique = number * _STAGES + place
            found.append(Fault(unique, BEGINNING + begins, Kind.RELEASE, Reach.REGION, name, lasts=lasts, lots=lots))
    return [fault for fault in found if fault.lots[0] and fault.at < BEGINNING + seconds]


def _effect(rates: Rates, drawn: float) -> Effect:
    left = drawn * sum(rates[name] for name in EFFECTS)
    for name, effect in EFFECTS.items():
        left -= rates[name]
        if left < 0:
            return effect
    return effect


def _rolled_out(
    config: FleetConfig, names: Sequence[str], rates: Rates, effect: Effect, key: str, at: float, restore: float
) -> Iterator[tuple[str, float, float, float]]:
    """Spells: the Region, when one begins, how long it lasts, the share of the requests that fail."""
    rules, stages, bake = config.rollouts, config.moves.stages, config.moves.bake_seconds
    passed: list[tuple[str, float]] = []
    for name in names:
        for number, percent in enumerate(stages, 1):
            stage = releases.Stage(effect, rules, f"{key}/{name}/{number}")
            found, lasts = releases.judged(stage, rules, stages=len(stages), bake_seconds=bake)
            if found.verdict is Verdict.INCONCLUSIVE:
                lasts += rates["person_minutes"] * 60
            yield name, at, lasts, percent / 100 * effect.lost
            at += lasts
            if found.verdict is not Verdict.PROMOTE:
                break
        else:
            passed.append((name, at))
            continue
        break
    yield from ((name, since, at - since + restore, effect.lost) for name, since in passed)
