"""How training went: the course of the loss, and whether the representation collapsed."""

import math
from itertools import zip_longest

import numpy as np

from . import svg
from .run import Row, Run
from .svg import Array
from .timeline import TimeAxis

MAX_LOGGED = 200  # columns of a heat map of metrics
STEP = TimeAxis("step of training")


def training_section(run: Run) -> Row | None:
    """Curves of the losses; None if nothing was logged."""
    if not run.rows:
        return None
    step = _column(run.rows, "step")
    # The parts of the loss are drawn with the weights that they have in it.
    weights = {
        "loss": 1.0,
        "prediction_loss": 1.0,
        "variance_loss": run.config["model"].get("variance_weight", 0.0),
        "covariance_loss": run.config["model"].get("covariance_weight", 0.0),
    }
    curves = {
        name: weight * _column(run.rows, name)
        for name, weight in weights.items()
        if name in run.rows[0]
    }
    relative = None
    if "relative_loss" in run.rows[0]:
        shares = _column(run.rows, "relative_loss")
        alt = (
            f"Error of predictions: from {shares[0]:.2f} to {shares[-1]:.2f} of a guess"
        )
        relative = svg.lines(
            "relative", step, {"error": shares}, STEP, level=1.0, alt=alt
        )
    total = curves.get("loss", np.zeros(1))
    alt = f"Loss: from {total[0]:.3g} to {total[-1]:.3g}"
    return {
        "seconds": run.rows[-1]["elapsed_s"],
        "speed": np.median(_column(run.rows, "samples_per_s")),
        "loss": svg.lines("loss", step, curves, STEP, alt=alt),
        "legend": svg.legend(curves),
        "relative": relative,
        "losses": run.logged("relative_loss"),
        "ranks": run.logged("rank"),
    }


def collapse_section(run: Run) -> Row | None:
    """Heat maps of the collapse statistics, position by step; None if none were logged."""
    rows = [
        row
        for row in run.rows
        if row.get("std_per_position") and row.get("rank_per_position")
    ]
    if not rows:
        return None
    rows = [rows[i] for i in svg.spread(len(rows), MAX_LOGGED)]
    lengths = run.data.get("lengths") or [0]
    maps: Row = {"unequal": lengths[0] != lengths[-1]}
    for kind, words in (("rank", "Effective rank"), ("std", "Standard deviation")):
        columns = [row[f"{kind}_per_position"] for row in rows]
        values = np.array([*zip_longest(*columns, fillvalue=math.nan)], dtype=float)
        last = np.nanmean(values[:, -1])
        alt = f"{words} at each position, at the end of training {last:.3g} on average"
        steps = _column(rows, "step")
        maps[kind] = svg.heat(kind, steps, values, STEP.name, "position", alt)
    return maps


def _column(rows: list[Row], name: str) -> Array:
    """A metric `(rows,)`, NaN in rows that do not hold it."""
    return np.array([row.get(name) for row in rows], dtype=float)
