"""Types of all columns of a table at once: to take a column out of a frame costs more than to ask.

In a wide table with a column for each of 20,000 timesteps that cost was most of reading it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OBJECTS = "O"  # NumPy's letter for text, objects and categories of any type


def kinds(frame: pd.DataFrame) -> list[str]:
    """NumPy's letter for the type of each column: "f", "i", "u", "b", "M", "m", "O", ...."""
    return [dtype.kind for dtype in frame.dtypes]


def kind_by_name(frame: pd.DataFrame) -> dict[str, str]:
    """The same by the name of the column; names are unique."""
    return dict(zip(frame.columns, kinds(frame), strict=True))


def textual(frame: pd.DataFrame) -> list[int]:
    """The places of columns of text, objects or categories."""
    return [k for k, kind in enumerate(kinds(frame)) if kind == OBJECTS]
