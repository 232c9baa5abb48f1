"""Files, data frames and arrays to `Sequences`; numpy and pandas only."""

from .reader import read as read
from .sequences import Sequences as Sequences
from .tables.readings import AmbiguousError as AmbiguousError
