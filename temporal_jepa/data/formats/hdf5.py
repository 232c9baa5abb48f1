"""HDF5 files to series: one dataset of numbers, or datasets `X` and `y`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, Sequences
from .arrays import choose_array, from_array
from .libraries import check_size, needs, readable


def read_hdf5(path: Path, options: ReadOptions) -> Sequences:
    """The only dataset of numbers, `X` with labels `y`, or the one that `options.table` names.

    Shapes are those of `from_array`.

    Raises:
        AmbiguousError: several datasets hold numbers.
        ModuleNotFoundError: without h5py.
        ValueError: for damaged files, and those of pandas, MATLAB and netCDF.
    """
    with datasets_of(path) as arrays:
        name, labels, notes = choose_array(arrays, options.table)
        X = np.asarray(_checked(arrays[name], path))
        y = None if labels is None else labels_of(_checked(arrays[labels], path))
    return from_array(X, replace(options, table=None), str(path), y, notes)


@contextlib.contextmanager
def datasets_of(path: Path) -> Iterator[dict[str, Any]]:
    """The datasets of an open file by name; errors as `read_hdf5`."""
    needs("h5py", "hdf5", f"reading {path.suffix or 'HDF5'}")
    import h5py

    with readable(path, "HDF5 file"), h5py.File(path, "r") as file:
        _refuse_others(file)
        yield _datasets(file)


def _refuse_others(file: Any) -> None:
    """ValueError for HDF5 that another library wrote in a layout of its own."""
    import h5py

    inner = [
        file[name]
        for name in file
        if isinstance(file.get(name, getlink=True), h5py.HardLink)
    ]
    attributes = {key for entry in (file, *inner) for key in entry.attrs}
    if attributes & {"pandas_type", "pandas_version"}:
        raise ValueError(
            "holds frames in pandas' own layout; convert them: "
            "pandas.read_hdf(PATH, KEY).to_parquet('data.parquet')"
        )
    if "MATLAB_class" in attributes:
        raise ValueError(
            "a MATLAB file of version 7.3; convert it: writematrix(X, 'data.csv') in MATLAB, or "
            "h5py and numpy.save in Python (axes are reversed)"
        )
    if "_NCProperties" in attributes:
        raise ValueError(
            "a netCDF file; pass xarray.open_dataset(PATH), or one variable of it, to read"
        )


def _datasets(file: Any) -> dict[str, Any]:
    """The datasets with at least one axis, by their path; links are not followed."""
    import h5py

    found: dict[str, Any] = {}

    def collect(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and entry.ndim and entry.size:
            found[name] = entry

    file.visititems(collect)
    return found


def own_values(dataset: Any) -> Any:
    """The dataset; ValueError if its values lie in other files."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(
            f"the values of {dataset.name!r} lie in other files, which are never opened; copy them "
            "into one file: h5repack, or file['X'] = numpy.asarray(dataset) in h5py"
        )
    return dataset


def _checked(dataset: Any, path: Path) -> Any:
    """The dataset; ValueError if its values lie in other files, or are more than fit."""
    own_values(dataset)
    advice = "make a store of it: temporal-jepa prepare"
    check_size(dataset.size * dataset.dtype.itemsize, path, advice)
    return dataset


def labels_of(dataset: Any) -> Array:
    """A dataset of labels, text decoded."""
    import h5py

    if h5py.check_string_dtype(dataset.dtype):
        return np.asarray(dataset.asstr()[:])
    return np.asarray(dataset)
