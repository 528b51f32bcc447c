"""What the calculator says: the original's figures, ours in words, and the same from the function and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy import stats

from availability.calculate_availability import handler
from sandbox.__main__ import main
from standfast.availability_claims import claims, cluster_unavailability
from standfast.availability_input import answer
from standfast.availability_words import WIDTH, in_words, minutes, percent
from standfast.errors import InvalidInputError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/calculate_availability.json"


@pytest.mark.parametrize("gpus", range(1, 9))
def test_the_originals_formula_is_what_its_code_computes(gpus: int) -> None:
    theirs = float(stats.binom.cdf(gpus // 2 - 1, gpus, 0.995))
    assert cluster_unavailability(gpus) == pytest.approx(theirs, rel=1e-9)


def test_the_originals_figures_stand_beside_what_its_formula_gives() -> None:
    shown = {claim.what: (claim.stated, claim.by_formula) for claim in claims()}
    stated, formula = shown["a cluster of 4 GPUs, half of them needed"]
    assert stated is not None
    assert formula is not None
    assert (percent(stated), percent(formula)) == ("99.9 %", "99.99995 %")
    assert [percent(each[1]) for each in shown.values() if each[1] is not None][1:3] == ["99.9999 %", "99.999999 %"]
    achieved, _ = shown["achieved"]
    assert achieved is not None
    assert (percent(achieved), minutes(achieved)) == ("99.994 %", "31.5")
    assert shown["a cluster of 1 GPU"][1] == 0  # it needs 1 // 2 of its GPUs: none


@pytest.mark.parametrize(("gpus", "share", "said"), [(0, 0.9, "gpus is 0"), (4, 2, "gpu_availability is 2")])
def test_the_originals_formula_refuses_what_cannot_be(gpus: int, share: float, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        cluster_unavailability(gpus, share)


@pytest.mark.parametrize(
    ("unavailability", "shown"),
    [
        (0, "100 %"),
        (1, "0 %"),
        (0.5, "50 %"),
        (0.001, "99.9 %"),
        (4.98125e-7, "99.99995 %"),
        (2.5e-13, "99.999999999975 %"),
    ],
)
def test_as_many_nines_are_shown_as_there_are(unavailability: float, shown: str) -> None:
    assert percent(unavailability) == shown


@pytest.mark.parametrize(
    ("unavailability", "shown"),
    [(0, "0"), (0.005, "2,628"), (0.00006, "31.5"), (1e-6, "0.53"), (1e-8, "0.005"), (1e-12, "5e-07")],
)
def test_minutes_are_shown_by_their_size(unavailability: float, shown: str) -> None:
    assert minutes(unavailability) == shown


def test_the_report_names_every_assumption_with_its_source_and_every_figure_with_its_formula() -> None:
    report = answer({})
    text = " ".join(line.strip() for line in in_words(report))
    assert len(report.assumptions) == 21
    for rate in report.assumptions:
        assert f"{rate.name} = " in text
        assert rate.source.split(",")[0] in text
    for figure in report.figures:
        assert figure.name in text
        assert figure.formula in text
        assert {*figure.assumes} <= {rate.name for rate in report.assumptions}
    assert all(len(line) <= WIDTH for line in in_words(report))


def test_the_default_fleet_is_between_its_judgements_twice_and_half_as_bad() -> None:
    report = answer({})
    found = {each.change: each.unavailability for each in report.what_if}
    worse, better = (found[f"every judgement {word} as bad, all at once"] for word in ("twice", "half"))
    assert better < report.result.unavailability == found["as assumed"] < worse


def test_the_function_answers_the_report_and_its_figures() -> None:
    answered = json.loads(json.dumps(handler({}, None)))
    assert answered["report"] == in_words(answer({}))
    assert answered["minutes_per_year"] == pytest.approx((1 - answered["availability"]) * 525_600)
    assert sum(answered["causes"].values()) == pytest.approx(answered["minutes_per_year"])
    assert answered["fleet"]["clusters"][0]["replicas_needed"] == 2
    assert {row["name"] for row in answered["assumptions"]} >= {"beta", "gpu_mtbf_hours"}


def test_the_example_input_is_answered() -> None:
    answered = handler(json.loads(EXAMPLE.read_text(encoding="utf-8")), None)
    assert answered["fleet"]["regions"] == 3
    assert [row["name"] for row in answered["assumptions"] if row["basis"] == "given"] == [
        "engine_mtbf_hours",
        "beta",
        "changes_per_year",
    ]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"regions": 0}, "the input: regions"),
        ({"region": 2}, "region is not a known field; remove it or mend its spelling"),
        ({"clusters": [{"gpus": 4}, {"gpus": 4, "gpus_per_replica": 3}]}, r"clusters\.1: gpus_per_replica is 3: give"),
        ({"assumptions": {"beta": 3}}, "the input: assumptions: beta is 3: give a share"),
    ],
)
def test_a_wrong_input_is_refused_with_the_field_and_the_mend(event: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        handler(event, None)


def test_the_command_prints_the_report_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures" / "availability.json"
    arguments = ["availability", "--input", str(EXAMPLE), "--assume", "beta=0.02", "--json", str(figures)]
    assert main(arguments) == 0
    asked = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    report = answer({**asked, "assumptions": {**asked["assumptions"], "beta": 0.02}})
    assert capsys.readouterr().out.splitlines() == in_words(report)
    assert json.loads(figures.read_text(encoding="utf-8")) == json.loads(json.dumps(report.document()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--assume", "beta"], "--assume beta: give NAME=VALUE"),
        (["--assume", "bta=1"], "bta: no such assumption"),
        (["--input", "there-is-none.json"], "give a file that can be read"),
        (["--input", str(ROOT / "Makefile")], "is no JSON"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["availability", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_page_shows_what_the_command_prints() -> None:
    page = (ROOT / "docs/availability.md").read_text(encoding="utf-8")
    shown = page.split("```text\n")[1].split("\n```")[0]
    assert shown.splitlines() == in_words(answer({})), "write docs/availability.md anew: python -m sandbox availability"
