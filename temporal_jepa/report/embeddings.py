"""The embeddings that a report compares: after training and of a control, and their distances."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..checkpoint import from_pretrained
from ..data import Sequences
from ..embed import embed_sequences
from ..evaluation.neighbors import Index, standardize
from ..files import BUNDLED, GENERAL
from ..model.jepa import random_init_like
from ..training.components import fit_components
from .pairs import FEWEST, Pairs
from .plots import MAX_CHANNELS, is_curves
from .run import Run
from .scale import Scale, scale_of
from .svg import Array, spread

MAX_POINTS = 10_000  # sequences that are embedded, evenly spaced over the data
NEIGHBORS = 5


@dataclass(frozen=True)
class Comparison:
    """Nearest neighbors after training beside those of a control.

    Args:
        control: its name.
        n: number of sequences.
        unchanged: share of the neighbors after training that are neighbors with the control too.
        agreement: share of neighbors that have the label of a sequence, "after" training, with the
            "control" and by "chance"; None without labels.
    """

    control: str
    n: int
    unchanged: float
    agreement: dict[str, float] | None


@dataclass(frozen=True)
class Embedded:
    """Embeddings `(n, F)` of the same sequences by a control and after training.

    They are compact, `F` = `dim`, if the model stores 128 components; else all features,
    standardized. A control with random weights gets its own components of the same sequences.

    The control is series-small if training started from it, else the same encoder with random
    weights.
    """

    sequences: Sequences
    control_name: str
    control: Array
    trained: Array
    dim: int | None

    @cached_property
    def nearest(self) -> tuple[Array, Array]:
        """The nearest other sequences of each, `(n, k)`, nearest first, and their distances."""
        return self._nearest(self.trained)

    @cached_property
    def scale(self) -> Scale | None:
        """The scale of all drawings of these sequences; None if they are not drawn as curves."""
        if not is_curves(self.sequences, 0):
            return None
        return scale_of(list(self.sequences.values), MAX_CHANNELS)

    @cached_property
    def pairs(self) -> Pairs:
        """Distances of pairs of sequences after training."""
        return Pairs(self.trained)

    @cached_property
    def comparison(self) -> Comparison:
        """The nearest neighbors after training beside those of the control."""
        near, _ = self.nearest
        near_control, _ = self._nearest(self.control)
        same = (near[:, :, None] == near_control[:, None, :]).any(axis=2)
        agreement = None
        labels = self.sequences.class_labels
        if labels is not None:
            _, index, counts = np.unique(
                labels, return_inverse=True, return_counts=True
            )
            agreement = {
                "after": float(np.mean(index[near] == index[:, None])),
                "control": float(np.mean(index[near_control] == index[:, None])),
                "chance": float(np.mean((counts[index] - 1) / (len(labels) - 1))),
            }
        return Comparison(self.control_name, len(near), float(same.mean()), agreement)

    def _nearest(self, rows: Array) -> tuple[Array, Array]:
        k = min(NEIGHBORS, len(rows) - 1)
        return Index(rows, scale=self.dim is None).neighbors(k)


def embed_run(
    run: Run, on_sequences: Callable[[int], None] = lambda count: None
) -> Embedded | None:
    """Embed the sequences of a run; None without a model or with too few sequences."""
    if run.model is None or run.sequences is None or len(run.sequences) < FEWEST:
        return None
    chosen = run.sequences.select(spread(len(run.sequences), MAX_POINTS))
    if run.start == GENERAL:
        name = GENERAL
        control = from_pretrained(BUNDLED / GENERAL)
    else:
        name = "random weights"
        control = random_init_like(run.model, run.seed)
        if run.model.components is not None:
            fit_components(control, run.sequences)
    channels = run.sequences.n_channels
    dim = run.model.compact_dim(channels)
    if control.compact_dim(channels) is None:  # its features vary in fewer directions
        dim = None
    trained, of_control = (
        embed_sequences(model, chosen, dim=dim, on_sequences=on_sequences)
        for model in (run.model, control)
    )
    if dim is None:
        trained, of_control = standardize(trained), standardize(of_control)
    return Embedded(chosen, name, of_control, trained, dim)
