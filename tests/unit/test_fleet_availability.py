"""A fleet's availability: shapes that cannot be, what each assumption does, and figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import fault_rates
from standfast.availability import k_of_n, parallel, repairable, series
from standfast.errors import InvalidInputError
from standfast.fault_rates import FaultRates
from standfast.fleet_availability import ClusterShape, FleetShape, calculate

RATES = fault_rates.catalogued()
SHAPES = st.builds(
    FleetShape,
    st.integers(1, 3),
    st.lists(
        st.sampled_from([ClusterShape(4), ClusterShape(2), ClusterShape(8, 4, 8), ClusterShape(16, 8, 4, 1)]),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
WORSE_WHEN_GREATER = [
    "gpu_mttr_hours",
    "node_mttr_hours",
    "engine_mttr_hours",
    "take_out_seconds",
    "cluster_move_seconds",
    "region_move_seconds",
    "region_mttr_hours",
    "person_minutes",
    "changes_per_year",
    "change_restore_hours",
]
BETTER_WHEN_GREATER = [
    "gpu_mtbf_hours",
    "node_mtbf_hours",
    "engine_mtbf_hours",
    "region_mtbf_hours",
]


def only(**given: float) -> FaultRates:
    """Nothing fails but what is given."""
    nothing = {
        name: 0.0 if row.unit in {"share", "per year"} else row.value for name, row in fault_rates.catalogue().items()
    }
    never = {name: float("1e300") for name in nothing if name.endswith("mtbf_hours")}
    instantly = {name: 0.0 for name in nothing if name.endswith(("_seconds", "_minutes"))}
    sure = {"cluster_coverage": 1.0, "region_coverage": 1.0}
    return FaultRates(**{**nothing, **never, **instantly, **sure, **given})


def down(shape: FleetShape, rates: FaultRates) -> float:
    return calculate(shape, rates).unavailability


def test_one_cluster_in_one_region_is_k_of_n_of_its_gpus() -> None:
    rates = only(gpu_mtbf_hours=199, gpu_mttr_hours=1)
    assert isclose(
        down(FleetShape(1, (ClusterShape(4),)), rates), 4.98125e-7, rel_tol=1e-9
    )  # the original's own figure


def test_clusters_and_regions_without_delay_or_common_cause_are_redundancy() -> None:
    rates = only(gpu_mtbf_hours=99, gpu_mttr_hours=1)
    gpu = repairable(99, 1)
    region = parallel(k_of_n(2, 4, gpu), k_of_n(1, 2, gpu))
    assert isclose(down(FleetShape(1), rates), region.unavailability, rel_tol=1e-9)
    assert isclose(down(FleetShape(2), rates), region.unavailability**2, rel_tol=1e-9)


def test_a_tensor_parallel_replica_needs_all_of_its_gpus_and_nodes() -> None:
    rates = only(gpu_mtbf_hours=99, gpu_mttr_hours=1, node_mtbf_hours=49, node_mttr_hours=1)
    gpu, node = repairable(99, 1), repairable(49, 1)
    group = series(*[gpu] * 8, node, node)  # 8 GPUs on two nodes of 4
    found = calculate(FleetShape(1, (ClusterShape(16, 8, 4, 1),)), rates)
    assert isclose(found.replica.unavailability, group.unavailability, rel_tol=1e-9)
    assert isclose(found.unavailability, k_of_n(1, 2, group).unavailability, rel_tol=1e-9)


def test_replicas_on_one_node_go_down_with_it() -> None:
    rates = only(node_mtbf_hours=99, node_mttr_hours=1)
    assert isclose(down(FleetShape(1, (ClusterShape(4, 1, 4),)), rates), 0.01, rel_tol=1e-9)
    assert isclose(down(FleetShape(1, (ClusterShape(4, 1, 2),)), rates), 0.01**2, rel_tol=1e-9)


def test_a_common_cause_of_all_regions_is_helped_by_no_redundancy() -> None:
    rates = only(engine_mtbf_hours=99, engine_mttr_hours=1, beta=1, beta_clusters=1, beta_regions=1)
    assert isclose(down(FleetShape(3), rates), 0.01, rel_tol=1e-9)


def test_the_sums_of_a_year_by_hand() -> None:
    month = 8760 / 12
    slow = only(engine_mtbf_hours=month, engine_mttr_hours=0, take_out_seconds=10)
    assert isclose(calculate(FleetShape(1), slow).minutes_per_year, 12 * 10 / 60, rel_tol=1e-4)
    bad = only(changes_per_year=12, change_failure_share=0.05, change_escape_share=0.1, change_restore_hours=1)
    assert isclose(calculate(FleetShape(2), bad).minutes_per_year, 12 * 0.05 * 0.1 * 60, rel_tol=1e-4)
    lost = only(region_mtbf_hours=8760, region_mttr_hours=7, region_move_seconds=120)
    assert isclose(calculate(FleetShape(2), lost).minutes_per_year, 2 + 0.0008**2 * 525600, rel_tol=0.01)


@given(SHAPES)
def test_the_causes_add_up_and_a_region_more_never_costs(shape: FleetShape) -> None:
    found = calculate(shape, RATES)
    assert isclose(sum(cause.unavailability for cause in found.causes), found.unavailability, rel_tol=1e-12)
    assert all(cause.unavailability >= 0 for cause in found.causes)
    assert 0 < found.unavailability < 1
    assert down(replace(shape, regions=shape.regions + 1), RATES) <= found.unavailability * (1 + 1e-12)


@given(SHAPES, st.sampled_from(WORSE_WHEN_GREATER), st.floats(1, 20))
def test_what_takes_longer_or_comes_oftener_never_helps(shape: FleetShape, name: str, factor: float) -> None:
    worse = replace(RATES, **{name: getattr(RATES, name) * factor})
    assert down(shape, RATES) <= down(shape, worse) * (1 + 1e-9)


@given(SHAPES, st.sampled_from(BETTER_WHEN_GREATER), st.floats(1, 20))
def test_what_fails_less_often_never_costs(shape: FleetShape, name: str, factor: float) -> None:
    better = replace(RATES, **{name: getattr(RATES, name) * factor})
    assert down(shape, better) <= down(shape, RATES) * (1 + 1e-9)


@given(SHAPES, st.floats(0, 0.95), st.sampled_from(["cluster_coverage", "region_coverage"]))
def test_more_coverage_never_costs(shape: FleetShape, coverage: float, name: str) -> None:
    assert down(shape, RATES) <= down(shape, replace(RATES, **{name: coverage})) * (1 + 1e-9)


@given(st.floats(0, 0.9), st.floats(0, 0.1))
def test_more_in_common_costs_the_default_fleet(beta: float, more: float) -> None:
    less, greater = (down(FleetShape(), replace(RATES, beta=value)) for value in (beta, beta + more))
    assert less <= greater * (1 + 1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gpus": 0}, "gpus is 0: give 1 or more"),
        ({"gpus": 4, "gpus_per_replica": 3}, "gpus_per_replica is 3: give a number that divides 4 GPUs"),
        ({"gpus": 4, "gpus_per_node": 8}, "gpus_per_node is 8: give a number that divides 4 GPUs"),
        ({"gpus": 12, "gpus_per_replica": 4, "gpus_per_node": 6}, "give whole replicas a node, or whole nodes"),
        ({"gpus": 4, "replicas_needed": 5}, "replicas_needed is 5 of 4: give 1 to 4"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(given: dict[str, int], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        ClusterShape(**given)


def test_a_fleet_needs_a_region_and_a_cluster() -> None:
    with pytest.raises(InvalidInputError, match="regions is 0: give 1 or more"):
        FleetShape(0)
    with pytest.raises(InvalidInputError, match="clusters is empty: give the active cluster"):
        FleetShape(1, ())


def test_a_cluster_is_dead_by_the_rule_of_half_unless_it_is_said() -> None:
    assert [ClusterShape(gpus).needed for gpus in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]
    assert ClusterShape(4, replicas_needed=4).needed == 4
