"""A run folder in memory: its settings, its metrics, its model, and its data, read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoint import from_pretrained
from ..config import ReadOptions
from ..data import Sequences, read
from ..data.store.remote import refuse_address
from ..embed import check_channels
from ..files import read_config, read_json
from ..model.jepa import TemporalJEPA
from ..training.initial import Start
from ..training.metrics import METRICS, missing_rows, read_rows
from ..training.run import facts
from .probe_file import AGAIN, check_probe

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What a report is made of. `missing` holds a line for each thing that could not be read."""

    folder: Path
    config: Mapping[str, Any]
    rows: list[Row]
    probe: Mapping[str, Any]
    model: TemporalJEPA | None
    sequences: Sequences | None
    is_training_data: bool
    missing: list[str]

    @property
    def data(self) -> Mapping[str, Any]:
        """What config.json says about the training data."""
        data: Mapping[str, Any] = self.config.get("data", {})
        return data

    @property
    def seed(self) -> int:
        """Seed of the initial weights; the masks of the report are drawn from it too."""
        return int(self.config.get("pretrain", {}).get("seed", 0))

    @property
    def start(self) -> str:
        """Where training started: "scratch", "series-small", a folder or a model on the hub."""
        return Start.stored(self.config).source

    def logged(self, name: str) -> list[tuple[int, Any]]:
        """The (step, value) pairs of a metric, without the rows that do not hold it."""
        return [
            (row["step"], row[name]) for row in self.rows if row.get(name) is not None
        ]

    def recordings(self) -> Sequences | None:
        """The series that the training data was cut from; None if it was not cut into windows."""
        options = dict(self.data.get("options", {}))
        is_cut = self.is_training_data and options.pop("window", None) is not None
        if not is_cut or self.sequences is None:
            return None
        if self.sequences.frame is not None or self.sequences.is_stored:
            return None
        options.pop("stride", None)
        return read(self.data["path"], ReadOptions.from_dict(options))


def open_run(folder: Path, given: Sequences | None) -> Run:
    """Read a run folder.

    Args:
        folder: as `pretrain` wrote it; the run may be unfinished.
        given: data to draw; None: the training data, read again.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if a JSON file of the run is damaged, or the channels of `given` are not those
            of the model.
    """
    config = read_config(folder)
    missing: list[str] = []
    model: TemporalJEPA | None = None
    try:
        model = from_pretrained(folder)
    except (FileNotFoundError, ValueError) as error:
        missing.append(f"The trained weights could not be read: {error}")
    if given is None:
        data = config.get("data", {})
        refuse_address(data.get("path"), folder, f"--data {data.get('path')}")
        sequences = _read_again(data, model, missing)
    else:
        sequences = given
        if model is not None:
            check_channels(model, given)
    rows = read_rows(folder)
    lost = missing_rows(folder, rows, config)
    if lost or not rows:
        missing.append(lost or f"{METRICS} holds no training metrics.")
    probe = folder / "probe.json"
    is_probed = probe.exists() or probe.is_symlink()
    scores = read_json(probe, AGAIN) if is_probed else {}
    if scores:
        check_probe(probe, scores)
    return Run(folder, config, rows, scores, model, sequences, given is None, missing)


def _read_again(
    data: Mapping[str, Any], model: TemporalJEPA | None, missing: list[str]
) -> Sequences | None:
    """The training data, from the path and the options that the run stored."""
    if "path" not in data:
        return None
    try:
        sequences = read(data["path"], ReadOptions.from_dict(data.get("options", {})))
        if model is not None:
            check_channels(model, sequences)
    except (OSError, ValueError, ImportError) as error:
        missing.append(f"The data could not be read again: {error}")
        return None
    count = data.get("n", len(sequences))
    if len(sequences) != count:
        missing.append(
            f"The data has changed: {count} sequences then, {len(sequences)} now."
        )
    elif data.get("digest", "") not in ("", facts(sequences)["digest"]):
        missing.append(
            "The data has changed: its values are not those of the training data."
        )
    return sequences
