"""The catalogue of rates: every row has its source, and what was derived is derived right."""

from __future__ import annotations

from math import nan

import pytest

from standfast import fault_rates
from standfast.errors import InvalidInputError

BASES = {"published", "promised", "measured", "objective", "judgement"}


@pytest.mark.parametrize("row", fault_rates.catalogue().values(), ids=lambda row: row.name)
def test_every_rate_has_a_unit_a_basis_and_a_source(row: fault_rates.Rate) -> None:
    assert row.unit in {"hours", "minutes", "seconds", "share", "per year"}
    assert row.name.endswith(row.unit) or row.unit in {"share", "per year"}
    assert row.basis in BASES
    assert row.about
    assert row.source


def test_what_is_derived_is_derived_from_the_counts() -> None:
    llama = fault_rates.document()["counts"]["llama3"]
    failures = sum(llama["by_gpus"].values())
    assert failures == 268
    rates = fault_rates.catalogued()
    assert rates.gpu_mtbf_hours == round(llama["gpus"] * llama["days"] * 24 / failures) == 79230
    assert rates.node_mtbf_hours == round(1000 * 24 / 6.5)
    promised = rates.region_mtbf_hours / (rates.region_mtbf_hours + rates.region_mttr_hours)
    assert promised == pytest.approx(0.9999, abs=1e-9)


def test_what_is_given_outweighs_the_catalogue_and_says_so() -> None:
    rates = fault_rates.with_given({"beta": 0.02})
    shown = {rate.name: rate for rate in fault_rates.sources(rates)}
    assert (shown["beta"].value, shown["beta"].basis) == (0.02, "given")
    assert shown["beta"].source == "given; the catalogue has 0.1"
    assert shown["gpu_mtbf_hours"] == fault_rates.catalogue()["gpu_mtbf_hours"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"betta": 0.1}, "betta: no such assumption; there are gpu_mtbf_hours"),
        ({"beta": 5}, r"beta is 5: give a share, 0 to 1 \(5 % is 0\.05\)"),
        ({"gpu_mtbf_hours": 0}, "gpu_mtbf_hours is 0: give hours above 0"),
        ({"person_minutes": -1}, "person_minutes is -1: give minutes, 0 or more"),
        ({"gpu_mttr_hours": nan}, "gpu_mttr_hours is nan: give a number"),
        ({"beta": 2, "beta_regions": 3}, "beta is 2.*; beta_regions is 3"),
    ],
)
def test_a_wrong_assumption_is_named_with_its_mend(given: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        fault_rates.with_given(given)
