"""What training reads: a data set, and the options that read other files in the same way."""

from dataclasses import replace
from typing import Any

from ..config import ReadOptions
from .reader import read, recording_window
from .sequences import Sequences
from .store.description import with_options_of_store


def read_to_train_on(data: Any, options: ReadOptions) -> tuple[Sequences, ReadOptions]:
    """Sequences to train on, and the options that read them, and later files, in the same way.

    A single recording is cut into windows, see `recording_window`, unless `window` is given.

    Args:
        data: whatever `read` takes, or sequences that were read.
        options: with which it is read, or was read.

    Raises:
        ValueError: if the data cannot be read, or have no observed value.
    """
    if isinstance(data, Sequences):
        sequences = data.check_observed()
    else:
        sequences = read(data, options)
        options = with_options_of_store(data, options)
    if options.layout == "scene" and sequences.frame is not None:
        return sequences, replace(options, agents=sequences.frame[1])
    if sequences.frame is not None and options.fps is None:
        options = replace(options, fps=_frame_rate(sequences))
    window = recording_window(int(sequences.lengths[0]))
    if len(sequences) == 1 and options.window is None and window is not None:
        return sequences.windows(window), replace(options, window=window)
    return sequences, options


def _frame_rate(sequences: Sequences) -> float | None:
    for times in sequences.times or []:
        if len(times) > 1:
            return round(1 / float(times[1] - times[0]), 6)
    return None
