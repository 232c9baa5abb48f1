"""Fit the principal components of a general encoder on synthetic series, and store them with it.

python benchmarks/components.py temporal_jepa/pretrained/series-small

4000 series of 48 to 512 timesteps, drawn as in `synthetic_series.py`; no recorded data. Directions
are stored in half precision, as the other weights; means and standard deviations in single.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from results import parser_of
from safetensors.torch import load_file, save
from synthetic_series import synthetic_series

from temporal_jepa import from_pretrained
from temporal_jepa.data import Sequences
from temporal_jepa.embed import learned_features
from temporal_jepa.files import WEIGHTS, write_atomically
from temporal_jepa.model.compact import principal_components
from temporal_jepa.model.jepa import TemporalJEPA

SERIES = 4000
SEED = 77  # none of the training data of series-small
SHORTEST, LONGEST = 48, 512  # timesteps; the logarithm of the length is uniform


def synthetic_cuts(n: int = SERIES, seed: int = SEED) -> Sequences:
    """Synthetic series of various lengths, each cut from a series of 512 timesteps."""
    rng = np.random.default_rng([seed, 1])
    lengths = np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST), n)).astype(int)
    series = []
    for x, length in zip(synthetic_series(n, LONGEST, seed), lengths, strict=True):
        start = rng.integers(LONGEST - length + 1)
        series.append(x[start : start + length, None])
    return Sequences(series)


def with_components(model: TemporalJEPA, series: Sequences) -> TemporalJEPA:
    """The model with components fitted on all of these series, in half precision."""
    components = principal_components(
        torch.from_numpy(learned_features(model, series)), whiten=True
    )
    assert components is not None
    components.directions = components.directions.half().float()
    model.components = components
    return model


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    model = with_components(from_pretrained(options.folder), synthetic_cuts())
    assert model.components is not None
    weights = load_file(options.folder / WEIGHTS)
    for name, value in model.components.state_dict().items():
        value = value.half() if name == "directions" else value
        weights[f"components.{name}"] = value.contiguous()
    content = save(weights, metadata={"format": "pt"})
    write_atomically(options.folder / WEIGHTS, content)
    print(f"{options.folder / WEIGHTS}: {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
