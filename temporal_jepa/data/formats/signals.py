"""Biosignals (.edf, .bdf) to a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Sequences, did_you_mean, listed
from ..tables.readings import AmbiguousError, Reading
from .libraries import needs, readable

HEADER = 256  # bytes of the header, and of that of each signal
SAMPLES = 216  # where the samples of a record stand in the headers of signals, for each signal


def read_edf(path: Path, options: ReadOptions) -> Sequences:
    """The channels of an EDF or BDF file as one recording, with times.

    `options.values` names the channels; all have one sampling rate.

    Raises:
        AmbiguousError: the channels have several sampling rates.
        ModuleNotFoundError: without pyedflib.
        ValueError: for a damaged or discontinuous file, and an unknown channel.
    """
    needs("pyedflib", "signals", f"reading {path.suffix}")
    import pyedflib

    _check_size(path)
    with readable(path, "EDF or BDF file", OSError):
        reader = pyedflib.EdfReader(str(path))
    try:
        return _recording(reader, path, options)
    finally:
        reader.close()


def _check_size(path: Path) -> None:
    """ValueError unless a file has the size that its header promises.

    edflib would print its own message about it on standard output. Any other fault of the header
    is left to edflib, which finds it first, and is silent.
    """
    with path.open("rb") as file:
        start = file.read(HEADER)
        try:
            records, signals = int(start[236:244]), int(start[252:256])
            file.seek(HEADER + SAMPLES * signals)
            counts = file.read(8 * signals)
            samples = sum(int(counts[8 * k : 8 * k + 8]) for k in range(signals))
        except (ValueError, OSError):
            return
    width = 3 if start[:1] == b"\xff" else 2  # bytes of a sample: BDF, EDF
    expected = HEADER * (1 + signals) + records * width * samples
    size = path.stat().st_size
    if records > 0 and size != expected:
        raise ValueError(
            f"expected {expected} bytes, as its header says ({records} records), got {size}; is it "
            "cut short? Copy it again"
        )


def _recording(reader: Any, path: Path, options: ReadOptions) -> Sequences:
    names = _unique([name.strip() for name in reader.getSignalLabels()])
    if not names:
        raise ValueError("expected channels of signals, got annotations only")
    rates = dict(zip(names, map(float, reader.getSampleFrequencies()), strict=True))
    chosen = _channels(names, rates, options)
    columns = [reader.readSignal(names.index(name)) for name in chosen]
    length = min(map(len, columns))
    start = np.datetime64(reader.getStartdatetime(), "ns")
    seconds = np.arange(length) / rates[chosen[0]]
    times = start + np.rint(seconds * 1e9).astype("timedelta64[ns]")
    notes = [
        f"one recording of {len(chosen)} channels at {rates[chosen[0]]:g} Hz, from the start time "
        "in the header"
    ]
    left = [name for name in names if name not in chosen]
    if left:
        notes.append(f"channels left out: {listed(left)}")
    marks = len(reader.readAnnotations()[0])
    if marks:
        notes.append(f"{marks} annotations are left out")
    return Sequences(
        [np.stack([column[:length] for column in columns], axis=1)],
        ids=[path.stem],
        channels=chosen,
        times=[times],
        source=str(path),
        notes=tuple(notes),
    )


def _unique(names: list[str]) -> list[str]:
    """The names, numbered where several are equal."""
    return [
        f"{name}.{names[:k].count(name)}" if name in names[:k] else name
        for k, name in enumerate(names)
    ]


def _channels(
    names: list[str], rates: dict[str, float], options: ReadOptions
) -> list[str]:
    """The channels to read, which share one rate."""
    chosen = list(options.values or names)
    for name in chosen:
        if name not in rates:
            raise ValueError(
                f"values names a channel {name!r} that does not exist, got {listed(names)}"
                f"{did_you_mean(name, names)}"
            )
    used = sorted({rates[name] for name in chosen})
    if len(used) == 1:
        return chosen
    readings = []
    for rate in used:
        own = [name for name in chosen if rates[name] == rate]
        sentence = f"{len(own)} channels at {rate:g} Hz"
        readings.append(Reading(sentence, {"values": ",".join(own)}, own))
    raise AmbiguousError("the channels have several sampling rates", readings)
