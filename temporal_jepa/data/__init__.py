"""Files and arrays in, `Sequences` out."""

from .sequences import Sequences as Sequences
