"""What a sequence is called on a page: a track, a clip, a scene, or a series."""

from typing import NamedTuple

from ..data.sequences import Sequences
from .plots import is_video


class Noun(NamedTuple):
    """A noun: "1 track", "2 tracks"."""

    one: str
    many: str


def noun_of(sequences: Sequences | None) -> Noun:
    """The noun of sequences: by their places and their frames."""
    if sequences is None:
        return Noun("series", "series")
    if is_video(sequences):
        return Noun("clip", "clips")
    if sequences.frame is not None:
        return Noun("scene", "scenes")
    if sequences.places is not None:
        return Noun("track", "tracks")
    return Noun("series", "series")
