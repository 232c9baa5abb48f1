"""Datasets of PyTorch, and of any class with `__len__` and `__getitem__`: read once, in order.

A dataset is asked for the items 0 to `len(data) - 1` and for no more: many never raise IndexError,
so that iterating over one need not end. An IterableDataset is iterated once, until it ends or does
not fit in memory. A DataLoader stands for its dataset. Iterators and generators are refused.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..files import memory
from .tensors import unpacked

TO_FILES = (
    "write them to files, one series a file, and make a store of the folder: temporal-jepa "
    "prepare FOLDER --out STORE"
)
TO_CUT = "pass a list of its arrays, such as list(itertools.islice(data, 1000))"
FIRST_CHECK = 64 * 2**20  # bytes that a stream gives before memory is looked at
PATIENCE = 10.0  # seconds before a warning says that a stream goes on


def is_dataset(data: Any) -> bool:
    """Whether an object is a Dataset of PyTorch, map-style or iterable, or a DataLoader."""
    torch = sys.modules.get("torch")  # else there can be no dataset of it
    if torch is None:
        return False
    kinds = (torch.utils.data.Dataset, torch.utils.data.DataLoader)
    return isinstance(data, kinds)


def is_stream(data: Any) -> bool:
    """Whether an object has no items that can be asked for: iterators, loaders of PyTorch."""
    if is_dataset(data):
        utils = sys.modules["torch"].utils.data
        return isinstance(data, (utils.DataLoader, utils.IterableDataset))
    return hasattr(data, "__iter__") and not hasattr(data, "__getitem__")


def items_of(data: Any) -> list[Any]:
    """The items of a dataset, each asked for once, in order.

    Of a Dataset of PyTorch, an item is a series ``(channels, time_i)`` or a tuple of a series and
    its label; a tuple of one series stands for the series.

    Raises:
        ValueError: for iterators, a DataLoader that chooses or changes items, and items that are
            no series.
        MemoryError: if the items cannot fit, by an estimate from those read so far.
    """
    data = _without_loader(data)
    if is_stream(data) and is_dataset(data):
        return _streamed(data)
    if is_stream(data):
        raise ValueError(_refusal(data))
    try:
        count = len(data)
    except (TypeError, NotImplementedError) as error:
        raise ValueError(_refusal(data)) from error
    items = []
    try:
        for k in range(count):
            item = _checked(data[k], k) if is_dataset(data) else data[k]
            if k == 0:
                _check_memory(item, count)
            items.append(item)
    except (KeyError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"expected arrays or tables, got {kind_of(data)}, whose items have no numbers "
            f"({error!r})"
        ) from error
    return items


def with_labels(X: Any, y: Any) -> tuple[Any, Any]:
    """`X` and `y`; of a dataset of PyTorch its series, and its labels unless `y` is given."""
    if not is_dataset(X) and not is_stream(X):
        return X, y
    series, labels = series_and_labels(X)
    return series, labels if y is None else y


def series_and_labels(data: Any) -> tuple[list[Any], list[Any] | None]:
    """The items of a dataset as series ``(channels, time_i)``, and their labels, None without."""
    items = items_of(data)
    if not items or not all(map(is_labeled, items)):
        return [unpacked(item) for item in items], None
    series = [unpacked(x) for x, _ in items]
    return series, [np.asarray(unpacked(label)).item() for _, label in items]


def is_labeled(item: Any) -> bool:
    """Whether an item is a pair of an array and a label, as datasets of PyTorch have them."""
    if not isinstance(item, (list, tuple)) or len(item) != 2:
        return False
    return axes_of(item[0]) > 0 and axes_of(item[1]) == 0


def axes_of(item: Any) -> int:
    """The number of axes of an array, 1 for a list of anything."""
    if isinstance(item, (int, float)):
        return 0
    return 1 if isinstance(item, (list, tuple)) else np.ndim(item)


def kind_of(data: Any) -> str:
    """The class of an object, for a message."""
    name = f"{type(data).__module__}.{type(data).__qualname__}"
    return name.removeprefix("builtins.")


def _checked(item: Any, k: int) -> Any:
    """An item of a Dataset of PyTorch as a series, or a pair of a series and its label.

    Raises:
        ValueError: for a tuple of other parts, or a dict.
    """
    if isinstance(item, Mapping):
        _refuse_series_in(item, k)
    if not isinstance(item, tuple):
        return item
    if len(item) == 1:
        return item[0]
    if len(item) == 2 and axes_of(item[0]) and np.shape(item[1]) in ((), (1,)):
        label = item[1] if axes_of(item[1]) == 0 else item[1][0]
        return item[0], label
    parts = ", ".join(str(tuple(np.shape(part))) for part in item)
    raise ValueError(
        f"expected each item to be a series or (series, label), got {len(item)} parts of shapes "
        f"{parts} as item {k}; pass [data[k][0] for k in range(len(data))], or the part that is "
        "the series"
    )


def _refuse_series_in(item: Mapping[Any, Any], k: int) -> None:
    """ValueError for a dict that holds a series of several channels; others may be rows."""
    names = [name for name, x in item.items() if axes_of(x) > 1]
    if names:
        raise ValueError(
            "expected each item to be a series or (series, label), got a dict with "
            f"{', '.join(map(repr, item))} as item {k}; pass "
            f"[data[k][{names[0]!r}] for k in range(len(data))]"
        )


def _check_memory(item: Any, count: int) -> None:
    """MemoryError if this many series like the first cannot fit."""
    size = getattr(_series_of(item), "nbytes", 0)
    if isinstance(size, int):
        memory.check(count * size, f"a dataset of {count} items", TO_FILES)


def _without_loader(data: Any) -> Any:
    """The dataset of a DataLoader, whose batches and order play no part; else `data` itself.

    Raises:
        ValueError: for a loader that chooses items by a sampler, or changes them as it collates.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(data, torch.utils.data.DataLoader):
        return data
    if isinstance(data.dataset, torch.utils.data.DataLoader):
        raise ValueError(
            "expected a dataset, got a DataLoader of a DataLoader, whose items are batches; pass "
            "the dataset: loader.dataset.dataset"
        )
    utils = torch.utils.data
    plain = (utils.SequentialSampler, utils.RandomSampler)
    name = kind_of(data)
    if not is_stream(data.dataset) and type(data.sampler) not in plain:
        sampler = kind_of(data.sampler)
        raise ValueError(
            f"expected a dataset, got {name} with the sampler {sampler}, which chooses series; "
            "pass the dataset, loader.dataset, or those series of it: "
            "torch.utils.data.Subset(loader.dataset, indices)"
        )
    collates = (utils.default_collate, utils.default_convert)
    if data.collate_fn not in collates:
        raise ValueError(
            f"expected a dataset, got {name} with a collate_fn of its own, which may change "
            "series; pass the dataset, loader.dataset, if its items are the series"
        )
    return data.dataset


def _streamed(data: Any) -> list[Any]:
    """The items of an IterableDataset, until it ends.

    Raises:
        MemoryError: when as much again as was read would not fit.
    """
    items = []
    size = 0
    next_check = FIRST_CHECK
    warn_at = time.monotonic() + PATIENCE
    for k, item in enumerate(data):
        items.append(_checked(item, k))
        size += np.asarray(unpacked(_series_of(items[-1]))).nbytes
        if size >= next_check:
            what = f"{kind_of(data)}, which has given {k + 1} series and not ended,"
            memory.check(size, what, f"if it never ends, {TO_CUT}; else {TO_FILES}")
            next_check = 2 * size
        if time.monotonic() > warn_at:
            warnings.warn(
                f"{kind_of(data)} has given {k + 1} series, {memory.readable(size)}, and goes on; "
                f"if it never ends, stop here and {TO_CUT}",
                stacklevel=2,
            )
            warn_at = float("inf")
    return items


def _series_of(item: Any) -> Any:
    """The series of an item that may be a pair of a series and its label."""
    return item[0] if isinstance(item, tuple) else item


def _refusal(data: Any) -> str:
    """Why an iterator, or a dataset without a length, is not read, and what to pass instead."""
    return (
        f"expected arrays, tables or a dataset with a length, got {kind_of(data)}, which has to be "
        f"iterated and may never end; {TO_CUT}, or {TO_FILES}"
    )
