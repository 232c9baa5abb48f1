"""What a command says: lines, tables and progress to a person, one JSON object to a program."""

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from numbers import Integral, Real
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from ..config import PretrainConfig
from ..files.printable import printable
from .progress import INTERVAL, PATIENCE

if TYPE_CHECKING:
    import rich.progress

Row = tuple[str, Any] | tuple[str, Any, Any]
"""A fact: its name, its text and, where that is not the text, its value for programs."""

_answers: list[dict[str, Any]] = []
"""The facts that `--json` prints at the end, as its one element; empty if a person reads."""


@contextmanager
def answer_in_json() -> Iterator[None]:
    """Print what is recorded in the block as one JSON object, unless the block raises.

    Until then standard output is standard error: notes, progress and what libraries print.
    """
    _answers.append({})
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        answer = _answers.pop()
    print_json(answer)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print an object as a line of ASCII, in the first process of a distributed run only.

    Paths are text, and numbers that JSON does not have (NaN, infinity) are null.
    """
    if is_first_process():
        print(json.dumps(_plain(answer), allow_nan=False), flush=True)


def record(**facts: Any) -> None:
    """Add facts to the object of `--json`; nothing happens without it."""
    for answer in _answers:
        answer.update(facts)


def recorded(name: str) -> list[Any]:
    """A list that was recorded under a name; empty if there is none."""
    return list(_answers[-1].get(name, [])) if _answers else []


def _plain(value: Any) -> Any:
    """The same value in the types of JSON."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)


def _write(text: str, stream: TextIO) -> None:
    """Print a line; characters that the encoding of the stream lacks are escaped."""
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def say(*lines: str) -> None:
    """Print lines, in the first process of a distributed run only."""
    if is_first_process():
        for line in lines:
            _write(printable(line), sys.stdout)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    complain(f"warning: {' '.join(text.split())}")


def complain(text: str) -> None:
    """Print on standard error; line breaks stay."""
    _write(printable(text, keep="\n"), sys.stderr)


def show_lines(*lines: str) -> None:
    """Print the answer of a command; with `--json` nothing: its facts are recorded."""
    if not _answers:
        say(*lines)


def show_table(title: str, header: list[str], rows: list[tuple[str, ...]]) -> None:
    """Print a table; columns after the first are numbers. For programs, `record` its values."""
    if _answers:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column, name in enumerate(header):
        justify: Literal["right", "left"] = "right" if column else "left"
        table.add_column(printable(name), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*map(printable, row))
    width = None if sys.stdout.isatty() else 120
    # A name such as [red] or :bell: is text.
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    console.print(printable(title), table, sep="\n")


def show_facts(rows: Sequence[Row]) -> None:
    """Print (name, text) rows, aligned; with `--json`, record the value, or the text, of each."""
    show_lines(*(f"{name:<16} {text}" for name, text, *_ in rows))
    for name, *texts in rows:
        record(**{name.replace(" ", "_"): texts[-1]})


def say_next(text: str) -> None:
    """Print the command that comes next."""
    record(next=text)
    say(f"next: {text}")


def command(*words: Any) -> str:
    """A command line to copy."""
    return shlex.join(["temporal-jepa", *map(str, words)])


def command_to_report(run: Any, data: str | None) -> str:
    """The command line for the report of a run; an address of its data is given again."""
    from ..data.store.remote import is_remote

    words = ["--data", data] if is_remote(data) else []
    return command("report", run, *words)


def command_to_resume(
    run: Any, data: str | None, callbacks: Sequence[str] | None = None
) -> str:
    """The command line that goes on with a run, under torchrun if this process is.

    Args:
        run: the run folder.
        data: of the run; an address, which is not taken from the folder, is given again.
        callbacks: what `--callback` named, which is not stored in the folder.
    """
    from ..data.store.remote import is_remote

    words = ["pretrain", "--out", str(run), "--resume"]
    for callback in callbacks or ():
        words += ["--callback", callback]
    if is_remote(data):
        words += ["--data", str(data)]
    launcher = _launcher()
    if not launcher:
        return command(*words)
    return shlex.join([*launcher, "-m", "temporal_jepa", *words])


def _launcher() -> list[str]:
    """The command of torchrun that started this process, as far as it is known; else nothing."""
    found = os.environ.get
    if not is_one_of_several() or found("LOCAL_WORLD_SIZE") is None:
        return []
    machines = found("GROUP_WORLD_SIZE", "1")
    words = ["torchrun", "--standalone"]
    if machines != "1":
        words = ["torchrun", "--nnodes", machines, "--rdzv-backend", "c10d"]
        words += ["--rdzv-id", found("TORCHELASTIC_RUN_ID", "ID")]
        words += ["--rdzv-endpoint", "FIRST_MACHINE:29400"]
    words += ["--nproc-per-node", found("LOCAL_WORLD_SIZE", "1")]
    restarts = found("TORCHELASTIC_MAX_RESTARTS", "0")
    if restarts != "0":
        words += ["--max-restarts", restarts]
    return words


def is_one_of_several() -> bool:
    """Whether other processes run the same command."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


class Progress:
    """Progress of training: a live line on a terminal, elsewhere one line per 5 % of the steps.

    Slow steps are counted between these lines: after two seconds, then every 10 seconds.
    """

    def __init__(self, config: PretrainConfig):
        self.config = config
        self.verdict = ""
        self.rank: float | None = None
        self.last: dict[str, Any] = {}
        self.last_printed = 0
        self.first: int | None = None  # steps done before this training
        self.began = self.shown = time.monotonic()
        self.live: rich.progress.Progress | None = None

    def __enter__(self) -> "Progress":
        if sys.stdout.isatty() and is_first_process():
            import rich.progress

            self.live = rich.progress.Progress(
                "{task.description}",
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                "{task.fields[facts]}",
            )
            self.task = self.live.add_task(
                "training", total=self.config.steps, facts=""
            )
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

    def count(self, step: int) -> None:
        """Show the number of steps that are done, with the time left."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.began, self.shown = step, now, now - INTERVAL + PATIENCE
            if self.live is None and is_first_process():
                print(f"step {step}/{self.config.steps}", flush=True)
            return
        text = self._left(step, now)
        if self.live is not None:
            facts = self.live.tasks[0].fields["facts"] or text
            self.live.update(self.task, completed=step, facts=facts)
        elif now - self.shown >= INTERVAL and is_first_process():
            self.shown = now
            print(f"step {step}/{self.config.steps}  {text}", flush=True)

    def _left(self, step: int, now: float) -> str:
        """The time left, from the steps so far."""
        done = step - (self.first or 0)
        seconds = (now - self.began) / max(done, 1) * (self.config.steps - step)
        return f"{timedelta(seconds=round(seconds))} left"

    def row(self, row: Mapping[str, Any]) -> None:
        """Show a row of metrics."""
        self.rank = row.get("rank", self.rank)
        self.verdict = row.get("verdict", self.verdict)
        self.last.update(row)
        text = self._describe(row)
        step = row["step"]
        steps = self.config.steps
        if self.live is not None:
            self.live.update(self.task, completed=step, facts=text)
        elif step - self.last_printed >= steps / 20 or step == steps:
            self.last_printed = step
            self.shown = time.monotonic()
            print(f"step {step}/{steps}  {text}", flush=True)

    def _describe(self, row: Mapping[str, Any]) -> str:
        speed = row["samples_per_s"]
        samples_left = (self.config.steps - row["step"]) * self.config.batch_size
        seconds_left = samples_left / max(speed, 1e-9)
        parts = [f"loss {row['loss']:.4f}"]
        if "relative_loss" in row:
            parts.append(f"error {row['relative_loss']:.0%} of a guess")
        if self.rank is not None:
            parts.append(f"effective rank {self.rank:.1f}")
        parts.append(f"{speed:.0f} samples/s")
        parts.append(f"{timedelta(seconds=round(seconds_left))} left")
        return "  ".join(parts)


def is_first_process() -> bool:
    """Whether this process is the one that speaks."""
    return os.environ.get("RANK", "0") == "0"
