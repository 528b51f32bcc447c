"""The journal's cost: from the items that a gateway writes, and list prices."""

from __future__ import annotations

import pytest

from sandbox.journal_cost import PRICES, Usual, cost


def test_a_small_request_costs_a_unit_an_item() -> None:
    found = cost(Usual(prompt_bytes=200, tokens=100, seconds=5.0), 1.0)
    units = {name: value for name, value in found.items() if not name.startswith("usd")}
    assert units == {
        "accept_head": 1, "accept_index": 1, "accept_body": 1, "progress": 5, "end_head": 1, "end_index": 1,
    }  # fmt: skip
    assert found["usd_per_million_requests"] == pytest.approx(10 * PRICES["write_per_million"], rel=0.02)


def test_a_longer_prompt_costs_its_packed_size() -> None:
    short, long = (cost(Usual(prompt_bytes=count), 1.0)["accept_body"] for count in (4_000, 40_000))
    assert 1 <= short < long < 40


def test_fewer_pieces_cost_less() -> None:
    assert [cost(Usual(), seconds)["progress"] for seconds in (0.5, 1.0, 2.0)] == [20, 10, 5]
