"""Tables with the truth known: the generator repeats itself, and no difference goes unseen."""

from dataclasses import replace

import numpy as np
import pytest
from reading import difference, outcomes
from tables import Case, draw, proof, recipe

from temporal_jepa.data.sequences import Sequences

LAYOUTS = ("wide", "long", "recording", "tidy", "tracks")


def first_case(layout: str, **choices: object) -> Case:
    """The first drawn table of a layout with several series and these choices."""
    wanted = {"layout": layout, "header": "plain", **choices}
    for number in range(2000):
        chosen = recipe(np.random.default_rng([1, number]))
        several = layout == "recording" or chosen["n"] > 2
        if several and wanted.items() <= chosen.items():
            return draw(1, number)
    raise AssertionError(f"no table {layout} {choices}")


def as_sequences(case: Case) -> Sequences:
    truth = case.truths[0]
    times = [t.copy() for t in truth.times]
    if truth.clock == "date":
        times = [(t * 1e6).astype("datetime64[us]") for t in times]
    return Sequences(
        [x.copy() for x in truth.values],
        labels=np.array(truth.labels) if truth.labels else None,
        ids=truth.ids[0] if truth.ids else [],
        channels=truth.channels,
        times=times or None,
    )


def test_a_table_depends_on_seed_and_number_alone() -> None:
    once, again = draw(3, 17), draw(3, 17)
    assert once.files == again.files
    assert once.recipe == again.recipe
    assert draw(4, 17).files != once.files
    assert draw(3, 18).files != once.files


def test_every_layout_and_outcome_is_drawn() -> None:
    cases = [draw(0, number) for number in range(200)]
    assert {case.recipe["layout"] for case in cases} >= {*LAYOUTS, "folder"}
    certain = [c for c in cases if not (c.open or c.unsure or c.refusable)]
    assert len(certain) > 50
    assert any(case.open for case in cases)
    assert any(case.refusable for case in cases)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1.234", "open"),
        ("-12,345", "open"),
        ("0.123", "proved"),
        ("1.234,5", "proved"),
        ("1,234,567", "proved"),
        ("1 234,567", "proved"),
        ("12.5", "proved"),
        ("1234.567", "proved"),
        ("1234", "whole"),
        ("1 234", ""),
        ("123", ""),
    ],
)
def test_what_a_number_proves(cell: str, said: str) -> None:
    assert proof(cell) == said


def test_the_truth_itself_is_right() -> None:
    for layout in ("wide", "long", "recording", "tidy"):
        case = first_case(layout)
        assert difference(as_sequences(case), case.truths[0]) == ""


def test_no_difference_goes_unseen() -> None:
    case = first_case("long", labels="text", dates="iso")
    truth = case.truths[0]
    right = as_sequences(case)
    assert len(right) > 1
    assert right.times is not None
    values = [x.copy() for x in right.values]
    values[0][0, 0] = 1.00001 * values[0][0, 0] + 1e-9
    later = [t + np.timedelta64(1, "D") for t in right.times]
    changed = {
        "value": replace(right, values=values),
        "order": replace(right, values=[x[::-1] for x in right.values]),
        "time": replace(right, times=later),
        "no time": replace(right, times=None),
        "label": replace(right, labels=["?", *truth.labels[1:]]),
        "no label": replace(right, labels=None),
        "id": replace(right, ids=["?", *right.ids[1:]]),
        "channel": replace(right, channels=["?", *right.channels[1:]]),
        "series": right.select(range(len(right) - 1)),
    }
    for what, found in changed.items():
        assert difference(found, truth), what


@pytest.mark.filterwarnings("ignore")
def test_no_table_is_read_as_another() -> None:
    """200 tables: none wrong, none guessed, and most of what follows from a file is read."""
    results = outcomes(200)
    bad = [r for r in results if r.outcome in ("wrong", "guessed")]
    assert not bad, "\n".join(f"--case {r.number} ({r.source}): {r.why}" for r in bad)
    clear = [r for r in results if r.expected == "follows"]
    assert sum(r.outcome == "right" for r in clear) > 0.9 * len(clear)
