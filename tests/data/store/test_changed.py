"""Bytes of a store that were changed while it is used: the file is named, and what to do."""

from pathlib import Path

import numpy as np
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, Sequences, pretrain, read
from temporal_jepa.data.store.prepare import prepare

SAID = r"{}: {}.*store is damaged: temporal-jepa prepare \S+ --verify finds all files"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A store of 6 series of 20 timesteps, without missing values."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 2, 20)))
    prepare(tmp_path / "x.npy", tmp_path / "whole")
    return tmp_path / "whole"


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """The same with missing values, of which half a series consists."""
    x = np.random.default_rng(0).normal(size=(6, 2, 20))
    x[3, :, 5:15] = np.nan
    np.save(tmp_path / "gaps.npy", x)
    prepare(tmp_path / "gaps.npy", tmp_path / "gaps")
    return tmp_path / "gaps"


def overwrite(store: Path, value: float) -> Path:
    """Write a value over all others, in place."""
    path = store / "values-00000.bin"
    kind = next(iter(read(store).dtypes))
    count = path.stat().st_size // np.dtype(kind).itemsize
    with path.open("r+b") as file:
        file.write(np.full(count, value, kind).tobytes())
    return path


@pytest.mark.parametrize(
    ("value", "wrong"),
    [(np.nan, "missing values .* made without any"), (np.inf, "infinite values")],
)
def test_values_that_no_store_has_are_refused(
    whole: Path, value: float, wrong: str
) -> None:
    sequences = read(whole)
    path = overwrite(whole, value)
    said = SAID.format(path, f"series 2 has {wrong}")
    with pytest.raises(ValueError, match=said):
        sequences.values[2]
    with pytest.raises(ValueError, match=said):
        sequences.values.span(2, 3, 5)


def test_missing_values_are_read_and_a_series_without_others_is_refused(
    gaps: Path,
) -> None:
    sequences = read(gaps)
    assert np.isnan(sequences.values.span(3, 6, 10)).all()
    path = overwrite(gaps, np.nan)
    with pytest.raises(ValueError, match=SAID.format(path, "series 1 has no value")):
        sequences.values[1]


def test_places_that_do_not_fit_are_refused(whole: Path) -> None:
    sequences = read(whole)
    path = whole / "starts-00000.bin"
    path.write_bytes(bytes(path.stat().st_size))
    said = SAID.format(path, "series 0 has 20 timesteps and 0 bytes")
    with pytest.raises(ValueError, match=said):
        sequences.values[0]


@pytest.mark.parametrize("name", ["whole", "gaps"])
def test_training_names_the_file(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue(name)
    config = PretrainConfig(steps=40, batch_size=4, log_every=1, device="cpu")
    with pytest.raises(ValueError, match=r"temporal-jepa prepare \S+ --verify"):
        pretrain(
            store,
            tmp_path / "run",
            config,
            TINY,
            on_row=lambda row: overwrite(store, np.nan) and None,
        )


def test_windows_that_were_emptied_are_told(whole: Path) -> None:
    """Training on windows, of which none is a whole series."""
    windows: Sequences = read(whole, window=5)
    path = overwrite(whole, np.nan)
    with pytest.raises(ValueError, match=path.name):
        windows.batch([3])
