"""Tensors and arrays of objects as plain arrays, or as lists of arrays of unequal length."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_tensor(data: Any) -> bool:
    """Whether an object is a tensor of PyTorch."""
    torch = sys.modules.get("torch")  # else there can be no tensor
    return torch is not None and isinstance(data, torch.Tensor)


def unpacked(data: Any) -> Any:
    """A tensor or an array of objects as numbers, or as a list of arrays; all else as it is.

    Tensors come to the CPU, without their gradients; bfloat16 and float16 become float32.

    Raises:
        ValueError: for an array of objects that are neither numbers nor arrays, and for channels of
            unequal length.
    """
    if is_tensor(data):
        return _from_tensor(data)
    if isinstance(data, np.ndarray) and data.dtype.kind == "O":
        return data if isinstance(data, np.ma.MaskedArray) else _from_objects(data)
    return data


def _from_tensor(tensor: Any) -> Any:
    torch = sys.modules["torch"]
    if tensor.is_nested:
        return [_from_tensor(part) for part in tensor.unbind()]
    tensor = tensor.detach().cpu()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def _from_objects(array: np.ndarray[Any, Any]) -> Any:
    holds_lists = array.size and all(hasattr(x, "__len__") for x in array.flat)
    if holds_lists and array.ndim == 1:
        return [unpacked(x) for x in array]
    if holds_lists and array.ndim == 2:  # (n, channels) series
        return [_stacked(row, k) for k, row in enumerate(array)]
    try:
        return np.array(
            [np.nan if x is None else x for x in array.flat], np.float64
        ).reshape(array.shape)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected numbers or arrays in an array of objects ({error})"
        ) from error


def _stacked(row: Any, number: int) -> Any:
    """The channels of one series, which have one length."""
    lengths = {len(channel) for channel in row}
    if len(lengths) > 1:
        raise ValueError(
            f"X[{number}]: expected channels of one length, got "
            f"{', '.join(map(str, sorted(lengths)))}; pad them with NaN"
        )
    return np.stack([np.asarray(channel, dtype=np.float64) for channel in row])
