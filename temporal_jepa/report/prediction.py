"""Where prediction is hard: masked sequences with the error of each prediction, and its course."""

import math
from dataclasses import replace

import numpy as np
import torch

from ..data.sequences import Sequences
from ..model.jepa import TemporalJEPA
from ..model.losses import mean_predictor_loss
from ..model.objectives import MaskedLatent
from ..training.channels import as_training_data
from . import plots, svg
from .run import Row, Run
from .svg import Array
from .timeline import STEPS, TimeAxis, begins, since_start, time_axis, when

SEQUENCES = 64  # whose error is averaged, over this many masks each:
MASKS = 8
DRAWN = 2  # sequences that are the hardest to predict, and as many of the easiest
FRAMES = TimeAxis("frame")
PERCENT = "percent of the length"
FLAT = 0.15  # a course whose highest point is less above its lowest is about even


def prediction_section(run: Run) -> Row | None:
    """What `templates/prediction.html` shows; None for objectives without masked latents."""
    model = run.model
    if model is None or run.sequences is None:
        return None
    config = model.config
    if not isinstance(model.objective, MaskedLatent) or config.predict == "pooled":
        run.missing.append(
            "Prediction errors are drawn for runs that predict masked latents one by one."
        )
        return None
    sample = run.sequences.select(svg.spread(len(run.sequences), SEQUENCES))
    whole = sample
    sample = _with_times(as_training_data(model, whole), whole)
    per_series = len(sample) // len(whole)
    chosen = svg.spread(len(sample), SEQUENCES)
    sample = sample.select(chosen)
    lengths = whole.lengths[chosen // per_series]  # before they were resampled
    error = _prediction_error(model, sample, run.seed)
    mean = error.nanmean((0, 2, 3)).numpy()  # of each sequence
    return {
        "panels": _panels(model, sample, error[0], mean, lengths),
        "along": _along(error, sample, config.patch, lengths),
        "over_time": _over_time(run, mean, sample),
        "mean": float(error.nanmean()),
        "config": config,
        "n": len(np.unique(chosen // per_series)),
        "drawn": len(sample),
        "of_channels": per_series > 1,
        "standardized": config.channel_independent,
        "draws": MASKS,
        "channels": plots.channel_legend(sample),
    }


def _panels(
    model: TemporalJEPA,
    sample: Sequences,
    error: torch.Tensor,
    mean: Array,
    lengths: Array,
) -> list[Row]:
    """The hardest and the easiest sequences with one mask each.

    Args:
        model: the model.
        sample: the sequences.
        error: with this mask, `(sequences, tokens in time, cells of a timestep)`.
        mean: over all masks, `(sequences,)`.
        lengths: timesteps before resampling, `(sequences,)`.
    """
    config = model.config
    masked = error.isfinite().numpy()
    bars = error.nanmean(-1).numpy()  # (sequence, time)
    drawn = _extremes(np.where(masked.any((1, 2)), mean, np.nan))
    limit = 1.05 * float(np.nanmax(bars[drawn], initial=1.0))
    panels = []
    for place, i in enumerate(drawn):
        tokens = math.ceil(min(len(sample.values[i]), config.seq_len) / config.patch)
        figure = plots.masked(
            f"mask{i}",
            sample,
            i,
            mask=masked[i, :tokens],
            error=bars[i, :tokens],
            limit=limit,
            token=(config.patch, config.side),
            axis=_axis(sample, i, tokens * config.patch, int(lengths[i])),
            unit="standardized" if config.channel_independent else "",
            alt=f"{sample.ids[i]}: mean error {mean[i]:.2f} of a guess",
        )
        panel = {
            "svg": figure,
            "id": sample.ids[i],
            "label": None if sample.labels is None else sample.labels[i],
            "start": begins(sample, i),
            "error": float(mean[i]),
            "kind": "hard" if place < len(drawn) / 2 else "easy",
        }
        panels.append(panel)
    return panels


def _axis(sample: Sequences, i: int, shown: int, length: int) -> TimeAxis:
    """The axis of the first `shown` timesteps of sequence i, of `length` before resampling."""
    steps = min(len(sample.values[i]), shown)
    if sample.times is not None:
        return time_axis(sample.times[i][:steps], steps)
    if plots.is_video(sample):
        return FRAMES
    if length == len(sample.values[i]):
        return STEPS
    return replace(time_axis(np.arange(length), steps), name=STEPS.name)


def _with_times(found: Sequences, sample: Sequences) -> Sequences:
    """Training data with the times and labels of the sequences it was made of."""
    if len(found) == len(sample) and found.times is not None:
        return found
    channels = len(found) // len(sample)
    labels = None if sample.labels is None else np.repeat(sample.labels, channels)
    if sample.times is None:
        return replace(found, labels=labels)
    times = []
    for x, own in zip(sample.values, sample.times, strict=True):
        observed = np.flatnonzero(~np.isnan(x).all(axis=1))
        times += [own[observed[0] : observed[-1] + 1]] * channels
    resampled = [
        _resampled(own, len(x)) for own, x in zip(times, found.values, strict=True)
    ]
    return replace(found, labels=labels, times=resampled)


def _resampled(times: Array, length: int) -> Array:
    """Times `(time,)` at `length` places, evenly spaced between the same ends."""
    if len(times) == length:
        return times
    at = np.linspace(0, len(times) - 1, length)
    if times.dtype.kind != "M":
        return np.interp(at, np.arange(len(times)), times)
    since = (times - times[0]).astype(np.int64)
    steps = np.interp(at, np.arange(len(times)), since).round().astype(np.int64)
    found: Array = times[0] + steps.astype(np.diff(times[:2]).dtype)
    return found


def _extremes(error: Array) -> list[int]:
    """The sequences with the highest and the lowest errors `(n,)`, each from high to low."""
    ranked = np.argsort(-np.nan_to_num(error, nan=-1.0), kind="stable")
    order: list[int] = ranked[: int(np.isfinite(error).sum())].tolist()
    if len(order) <= 2 * DRAWN:
        return order
    return [*order[:DRAWN], *order[-DRAWN:]]


def _along(error: torch.Tensor, sample: Sequences, patch: int, lengths: Array) -> Row:
    """The mean error at each position of a sequence, and where it is highest and lowest.

    Sequences that were resampled to one length have positions in percent if theirs differ:
    `lengths (sequences,)` are those before.
    """
    mean = error.nanmean((0, 1, 3)).numpy()
    longest = int(sample.lengths.max())
    scale, name = since_start(sample, longest)
    if name == STEPS.name and (lengths != sample.lengths).any():
        scale = (int(lengths[0]) - 1) / max(longest - 1, 1)
        if (lengths != lengths[0]).any():
            scale = 100 / max(longest - 1, 1)
            name = PERCENT
    middle = (np.arange(len(mean)) * patch + (patch - 1) / 2) * scale
    high = int(np.nanargmax(mean))
    low = int(np.nanargmin(mean))
    facts = {
        "is_even": bool(mean[high] - mean[low] < FLAT),
        "hardest": _place(middle[high], name),
        "easiest": _place(middle[low], name),
        "high": float(mean[high]),
        "low": float(mean[low]),
    }
    alt = f"Error by {name}: from {mean[low]:.2f} to {mean[high]:.2f} of a guess"
    figure = svg.lines(
        "along", middle, {"error": mean}, TimeAxis(name), level=1.0, alt=alt
    )
    return {**facts, "svg": figure}


def _place(middle: float, name: str) -> str:
    """A position in words: "timestep 12", or "2.5 hours since the start"."""
    if name == STEPS.name:
        return f"{name} {middle:.0f}"
    if name == PERCENT:
        return f"{middle:.0f} {name}"
    return f"{middle:.2g} {name}"


def _over_time(run: Run, mean: Array, sample: Sequences) -> Row | None:
    """The mean error of windows of one recording, over the time at which they begin."""
    is_cut = run.data.get("options", {}).get("window") is not None
    if not is_cut or sample.times is None or len(sample) < 4:
        return None
    names = {name.rpartition("@")[0] for name in sample.ids}
    starts = np.array([times[0] for times in sample.times])
    if len(names) > 1 or not (np.diff(starts) > starts[:1] - starts[:1]).all():
        return None
    high = int(np.nanargmax(mean))
    figure = plots.both_widths(
        "windows",
        plots.over_time,
        times=starts,
        y=mean,
        alt=f"highest {when(starts, high)}",
    )
    return {"svg": figure, "hardest": when(starts, high), "error": float(mean[high])}


def _prediction_error(
    model: TemporalJEPA, sequences: Sequences, seed: int
) -> torch.Tensor:
    """Error of each masked token over the loss of predicting the mean target, NaN if not masked.

    Returns:
        float `(MASKS, sequences, tokens in time, cells of a timestep)`.
    """
    config = model.config
    batch = sequences.batch(np.arange(len(sequences)))
    x = torch.from_numpy(batch[:, : config.seq_len])  # (B, T, C)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(MASKS):
        visible = model.draw_masks(x, generator)[0]
        errors.append(model.prediction_error(x, visible))  # (B, N)
    target, observed = model.targets(*model.context_encoder.prepare(x))
    unit = max(float(mean_predictor_loss(target, observed)), 1e-9)
    grid = (MASKS, len(sequences), -1, math.prod(config.cells))
    return torch.stack(errors).reshape(grid) / unit
