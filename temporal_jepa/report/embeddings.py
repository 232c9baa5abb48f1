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
from .run import Run
from .svg import Array, spread

MAX_POINTS = 10_000  # sequences that are embedded, evenly spaced over the data
MAX_PAIRS = 200_000  # of sequences, whose distances are measured
FEWEST = 3  # sequences between which distances mean anything
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
    def pairs(self) -> Array:
        """Distances of pairs of different sequences, ascending: of all, or of many at random."""
        n = len(self.trained)
        first, second = np.triu_indices(n, 1) if n <= 600 else self._random_pairs(n)
        # in parts, so that memory stays small
        parts = np.array_split(np.arange(len(first)), -(-len(first) // 10_000))
        distances = [
            np.linalg.norm(self.trained[first[k]] - self.trained[second[k]], axis=1)
            for k in parts
        ]
        return np.sort(np.concatenate(distances))

    def farther(self, distance: float) -> float:
        """The share of all pairs that are farther apart than a distance."""
        place = np.searchsorted(self.pairs, distance * (1 + 1e-9), side="right")
        return 1 - float(place) / len(self.pairs)

    def placed(self, distance: float) -> str:
        """A distance in words, by its place among all pairs: "closer than 98% of pairs"."""
        if not distance:
            return "the same to the encoder"
        share = self.farther(distance)
        if share < 0.5:
            return f"farther apart than {_percent(1 - share)} of pairs"
        return f"closer than {_percent(share)} of pairs"

    @cached_property
    def comparison(self) -> Comparison:
        """The nearest neighbors after training beside those of the control."""
        near, _ = self.nearest
        near_control, _ = self._nearest(self.control)
        same = (near[:, :, None] == near_control[:, None, :]).any(axis=2)
        agreement = None
        labels = self.sequences.classes
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

    def _random_pairs(self, n: int) -> tuple[Array, Array]:
        draw = np.random.default_rng(0)
        first = draw.integers(0, n, MAX_PAIRS)
        others = draw.integers(1, n, MAX_PAIRS)
        return first, (first + others) % n


def _percent(share: float) -> str:
    """A share in percent that is never rounded to all."""
    if share > 0.999:
        return "99.9%"
    return f"{share:.1%}" if share > 0.99 else f"{share:.0%}"


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
