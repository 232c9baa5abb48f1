"""What a person sees on a terminal: lines, tables, progress, commands to copy."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.progress
from rich.console import Console
from rich.table import Table

from ..config import PretrainConfig


def say(*lines: str) -> None:
    """Print lines, in the first process of a distributed run only."""
    if os.environ.get("RANK", "0") == "0":
        print(*lines, sep="\n")


def show(title: str, header: list[str], rows: list[tuple[str, ...]]) -> None:
    """Print a table; columns after the first are numbers."""
    table = Table(box=None, pad_edge=False)
    for column, name in enumerate(header):
        table.add_column(name, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(
        title, table, sep="\n"
    )


def facts(rows: list[tuple[str, Any]]) -> None:
    """Print (name, text) rows, aligned."""
    say(*(f"{name:<16} {text}" for name, text in rows))


def command(*words: Any) -> str:
    """A command line to copy."""
    return shlex.join(["temporal-jepa", *map(str, words)])


class Progress:
    """Rows of metrics for people: a live line on a terminal, a plain line about every 20th of the way elsewhere."""

    def __init__(self, config: PretrainConfig):
        self.config = config
        self.verdict = ""
        self.said = 0
        self.rank: float | None = None
        self.live: rich.progress.Progress | None = None

    def __enter__(self) -> "Progress":
        if sys.stdout.isatty() and os.environ.get("RANK", "0") == "0":
            columns = (
                "{task.description}",
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                "{task.fields[facts]}",
            )
            self.live = rich.progress.Progress(*columns)
            self.task = self.live.add_task("training", total=self.config.steps, facts="")
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def row(self, row: Mapping[str, Any]) -> None:
        """Show a row of metrics."""
        self.rank, self.verdict = row.get("rank", self.rank), row.get("verdict", self.verdict)
        left = (
            (self.config.steps - row["step"])
            * self.config.batch_size
            / max(row["samples_per_s"], 1e-9)
        )
        rank = "" if self.rank is None else f"  rank {self.rank:.1f}"
        text = (
            f"loss {row['loss']:.4f}  relative loss {row['relative_loss']:.3f}{rank}  {row['samples_per_s']:.0f} "
            f"samples/s  {_duration(left)} left"
        )
        if self.live is not None:
            self.live.update(self.task, completed=row["step"], facts=text)
        elif row["step"] - self.said >= self.config.steps / 20 or row["step"] == self.config.steps:
            self.said = row["step"]
            print(f"step {row['step']}/{self.config.steps}  {text}", flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
        if minutes >= 60
        else f"{minutes}:{rest:02d}"
    )


def needs_folder(path: Path) -> None:
    """Refuse a file where a folder is needed to write into."""
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(
                f"--out: {part} is a file, and the name of a folder is needed there"
            )


def check_out(path: Path, overwrite: bool, kinds: tuple[str, ...] = ()) -> None:
    """Refuse a name of another kind, a file that is there already, and a file where a folder is needed."""
    if kinds and path.suffix not in kinds:
        raise ValueError(f"--out {path}: expected a name that ends in {', '.join(kinds)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            "writing .parquet needs pyarrow: pip install 'temporal-jepa[parquet]'"
        )
    needs_folder(path.parent)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} is there already; --overwrite replaces it, --out writes elsewhere"
        )
