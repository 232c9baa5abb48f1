"""What is said of columns that no series is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...files.printable import printable
from ..sequences import SOME
from .numbers import parse, split_unit

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 30  # characters of a value that is shown


def left_out(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """A note on columns that are not used: their names, and what those of text hold.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"pressure": ["140/81", "130/80"], "room": [1, 2]})
    >>> left_out(frame, ["pressure", "room"])
    "columns left out: pressure (text such as '140/81'), room"
    """
    shown = [f"{printable(name)}{_why(frame[name])}" for name in names[:SOME]]
    if len(names) > SOME:
        shown.append("...")
    return f"columns left out: {', '.join(shown)}"


def _why(column: pd.Series[Any]) -> str:
    """Why a column is no channel, in parentheses; "" if its values do not say."""
    values = column.dropna()
    texts = Counter(x for x in values if isinstance(x, str) and x.strip())
    if not len(values):
        return " (empty)"
    if texts.total() < len(values):
        return ""
    return f" ({_described(texts)})"


def _described(texts: Counter[str]) -> str:
    """What texts are: text, or numbers with a unit and the option that reads them."""
    numbers = Counter({t: count for t, count in texts.items() if _has_unit(t)})
    if numbers.total() < texts.total() / 2:
        return f"text such as {_quoted(texts.most_common(1)[0][0])}"
    unit = f"numbers with a unit such as {_quoted(numbers.most_common(1)[0][0])}"
    others = texts - numbers
    if not others:
        return f"{unit}; strip_units=True reads them"
    return (
        f"{numbers.total()} of {texts.total()} are {unit}, others are text such as "
        f"{_quoted(others.most_common(1)[0][0])}; strip_units=True with missing= reads them"
    )


def _has_unit(text: str) -> bool:
    """Whether a text is a number with a unit."""
    found = split_unit(text.strip())
    if found is None or not found[1]:
        return False
    return any(parse(found[0].strip(), mark) is not None for mark in ".,")


def _quoted(text: str) -> str:
    """A value for a message, cut if it is long."""
    text = printable(text)
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "...")
