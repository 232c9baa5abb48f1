"""Long columns of dates in ISO 8601, read a piece at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import Array

if TYPE_CHECKING:
    import pandas as pd

ISO_LINES = re.compile(
    r"(?:(?:1[7-9]|2[01])\d\d-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?\n)+"
)
PIECE = 2**14  # rows of a long column that are text at once


def iso_instants(column: pd.Series[Any]) -> Array | None:
    """A long column of dates such as "2024-01-31 23:59:50" as datetime64[ns], a piece at a time.

    None for a short column, and where a text is written in another way or is missing.
    """
    if len(column) < PIECE or str(column.dtype) == "category":
        return None
    instants = np.empty(len(column), dtype="datetime64[ns]")
    for start in range(0, len(column), PIECE):
        texts = column.iloc[start : start + PIECE].tolist()
        if not all(isinstance(text, str) for text in texts):
            return None
        if not ISO_LINES.fullmatch("\n".join([*texts, ""])):
            return None
        try:
            instants[start : start + PIECE] = np.array(texts, dtype="datetime64[ns]")
        except ValueError:  # the 31st of June
            return None
    return instants
