"""Experiment trackers that get the rows of a run, by name: TensorBoard, MLflow, W&B, Trackio.

`metrics.jsonl` has every row in any case. A tracker that fails during training is left out from
there on with a warning, so that a server that is away does not end a run.
"""

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol, Self

from ..files.printable import printable

BOARD = "tensorboard"
PROJECT = "temporal-jepa"
"""The experiment of MLflow, and the project of W&B and Trackio, unless their variables say one."""
AT_ONCE = 100  # parameters in a request of MLflow


class Logger(Protocol):
    """What gets the rows of a run."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Take the numbers of a row."""

    def close(self, is_complete: bool) -> None:
        """End; `is_complete` unless the run was stopped or failed."""


class TensorBoard:
    """Events in `RUN/tensorboard`; opened at the first row, when an old run is gone."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder = folder / BOARD
        self.writer: Any = None

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a scalar for each number."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder))
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def close(self, is_complete: bool) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()


class MLflow:
    """A run on the server or in the store that MLFLOW_TRACKING_URI names, or MLflow's default.

    A request to a server that does not answer is sent 4 times, unless the variable of MLflow says
    another number: with MLflow's own number, a run would stand still for minutes.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else None
        experiment = experiment or self.client.create_experiment(name)
        run = self.client.create_run(experiment, run_name=folder.name)
        self.run = run.info.run_id
        params = [Param(key, str(value)[:500]) for key, value in settings.items()]
        for start in range(0, len(params), AT_ONCE):
            self.client.log_batch(self.run, params=params[start : start + AT_ONCE])

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Add the metrics of a step, in one request."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def close(self, is_complete: bool) -> None:
        """Say how the run ended."""
        self.client.set_terminated(self.run, "FINISHED" if is_complete else "KILLED")


class WandB:
    """A run of W&B, in `RUN/wandb` first; WANDB_PROJECT, WANDB_MODE and so on apply."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME", folder.name),
            dir=os.environ.get("WANDB_DIR", str(folder)),
            config=dict(settings),
        )

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send the numbers of a step, in the background."""
        self.run.log(dict(numbers), step=step)

    def close(self, is_complete: bool) -> None:
        """Send what is left."""
        self.run.finish(exit_code=0 if is_complete else 1)


class Trackio:
    """A run of Trackio in its folder on this machine, or in the space of TRACKIO_SPACE_ID."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        import trackio

        self.run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=folder.name,
            config=dict(settings),
        )

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Store the numbers of a step."""
        self.run.log(dict(numbers), step=step)

    def close(self, is_complete: bool) -> None:
        """Write what is left."""
        import trackio

        trackio.finish()


KINDS: Mapping[str, type[TensorBoard | MLflow | WandB | Trackio]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
    "trackio": Trackio,
}
"""A name of `config.LOGGERS`, which is also its package and its extra -> what writes to it."""


class Loggers:
    """All trackers of a run, open while it trains.

    Args:
        names: among `config.LOGGERS`.
        folder: the run folder.
        details: the content of `config.json`, whose settings are sent once.

    Raises:
        ValueError: if a tracker cannot be opened: no login, or a server that does not answer.
    """

    def __init__(
        self, names: Sequence[str], folder: Path, details: Mapping[str, Any]
    ) -> None:
        self.open: dict[str, Logger] = {}
        settings = dict(_flat(details))
        for name in names:
            try:
                with redirect_stdout(sys.stderr):  # standard output is for results
                    self.open[name] = KINDS[name](folder, settings)
            except Exception as error:
                self.close(is_complete=False)
                raise ValueError(
                    f"{name} cannot be logged to: {_in_a_line(error)}; correct that, or leave "
                    f"{name} out of log"
                ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(is_complete=kind is None)

    def row(self, row: Mapping[str, Any]) -> None:
        """Send the numbers of a row of metrics; one that fails is left out from here on."""
        numbers = {
            name: float(value)
            for name, value in row.items()
            if isinstance(value, (int, float)) and name != "step"
        }
        for name, logger in [*self.open.items()]:
            try:
                logger.log(numbers, int(row["step"]))
            except Exception as error:  # noqa: BLE001 - each has exceptions of its own
                del self.open[name]
                warnings.warn(
                    f"{name} gets no rows from step {row['step']} on: {_in_a_line(error)}; "
                    "metrics.jsonl has them all",
                    stacklevel=2,
                )

    def close(self, is_complete: bool) -> None:
        """End all of them; one that fails is named in a warning."""
        for name, logger in self.open.items():
            try:
                with redirect_stdout(sys.stderr):
                    logger.close(is_complete)
            except Exception as error:  # noqa: BLE001 - each has exceptions of its own
                warnings.warn(
                    f"{name} could not be closed: {_in_a_line(error)}", stacklevel=2
                )
        self.open = {}


def check_installed(names: Sequence[str]) -> None:
    """ImportError for a tracker whose package is missing, with its extra."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ImportError(
                f"{name} needs its extra: pip install 'temporal-jepa[{name}]'"
            )


def _flat(details: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested settings by names with dots, lists as text."""
    for name, value in details.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            yield prefix + name, value
        else:
            yield prefix + name, str(value)


def _in_a_line(error: Exception) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return printable(text)[:300].rstrip(".")
