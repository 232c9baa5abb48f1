"""Embeddings as tables, with the ids, labels and times of what was embedded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.sequences import Sequences

if TYPE_CHECKING:
    import pandas as pd

Vectors = npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]


def as_frame(
    sequences: Sequences, vectors: Vectors, names: Sequence[str]
) -> "pd.DataFrame":
    """One row for each sequence, or for each timestep.

    The features are the float32 columns: `frame.select_dtypes("float32")`. Before them are `id`;
    `label` if there are labels; for sequences with times `start` and `end`, their first and last
    time; for timesteps `timestep`, counted from 0 in each sequence, and `time` if there are times.

    Args:
        sequences: what was embedded.
        vectors: `(n, features)`, or a list of `(time_i, features)`.
        names: of the features.
    """
    import pandas as pd

    owner = np.arange(len(sequences))
    of_timesteps = isinstance(vectors, list)
    columns: dict[str, Any] = {}
    if isinstance(vectors, list):
        owner = np.repeat(owner, [len(each) for each in vectors])
        columns["timestep"] = np.concatenate([np.arange(len(x)) for x in vectors])
        vectors = np.concatenate(vectors)
    if sequences.times is not None and of_timesteps:
        columns["time"] = np.concatenate([*sequences.times])
    elif sequences.times is not None:
        ends = [(times[0], times[-1]) for times in sequences.times]
        columns["start"] = np.array([first for first, _ in ends])
        columns["end"] = np.array([last for _, last in ends])
    about = {"id": np.array(sequences.ids)[owner]}
    if sequences.labels is not None:
        about["label"] = np.asarray(sequences.labels)[owner]
    features = pd.DataFrame(vectors, columns=[*names])
    return pd.concat([pd.DataFrame({**about, **columns}), features], axis=1)
