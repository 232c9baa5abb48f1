"""Is a damaged run folder ever believed?

python benchmarks/damage.py [--tries 300] [--seed 0] [--work FOLDER]

Trains a small run by the command line, stopped before its end, with scores and embeddings. Then
each try damages one file of a fresh copy (cut short, one bit flipped, emptied, removed, replaced by
a folder, by a link to nothing or by a pipe) and runs a verb that reads it. It must refuse the file
in one line, or give what the whole folder gives, or say what is missing: a resumed run ends in the
weights of one that was never damaged. A result that differs without a word, a traceback and a verb
that does not end are losses; the exit code is then 1.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from temporal_jepa.cli.main import main as temporal_jepa

SMALL = [
    *("--embed-dim", "16", "--predictor-embed-dim", "16", "--num-heads", "2"),
    *("--encoder-depth", "1", "--predictor-depth", "1", "--batch-size", "4"),
    *("--steps", "6", "--save-every", "2", "--log-every", "1", "--watch-every", "3"),
    *("--device", "cpu"),
]
LONGEST = 300  # seconds of a verb
SAID = (
    "could not be read",
    "holds no training metrics",
    "is missing",
    "warning: ",
    "files   ",  # `inspect` lists the files that are there
    "is damaged",
)
"""Words by which a result says that something is not there."""


@dataclass(frozen=True)
class Verb:
    """A verb that reads a run, its words, and the files that it makes, in the run folder."""

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...]


def verbs(data: Path) -> dict[str, Verb]:
    """The verbs by name; RUN in their words is the run folder."""
    resume = ("pretrain", "--out", "RUN", "--resume")
    start = ("pretrain", "--data", f"{data}", "--out", "RUN/next", "--init-from", "RUN")
    known = [
        Verb("embed", ("embed", "RUN", f"{data}", "--out", "RUN/e.npy"), ("e.npy",)),
        Verb("inspect", ("inspect", "RUN"), ()),
        Verb("report", ("report", "RUN", "--out", "RUN/r.html"), ("r.html",)),
        Verb("resume", resume, ("model.safetensors",)),
        Verb("init", (*start, "--steps", "1"), ("next/model.safetensors",)),
        Verb("read", ("inspect", "RUN/embeddings.npz"), ()),
    ]
    return {verb.name: verb for verb in known}


READERS = {
    "config.json": ("embed", "inspect", "report", "resume", "init"),
    "model.safetensors": ("embed", "report", "init"),
    "metrics.jsonl": ("inspect", "report", "resume"),
    "probe.json": ("report",),
    "embeddings.npz": ("read",),
    "checkpoint": ("resume",),
}
"""Each file of a run, or its folder, and the verbs that read it."""


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def cut_one_line(path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("nothing")


def pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


ONCE: tuple[Callable[[Path, random.Random], None], ...] = (
    empty,
    remove,
    folder,
    link,
    pipe,
    cut_one_line,
)


def write_data(path: Path) -> Path:
    """Two classes of 12 short series in two channels, one of them shorter."""
    rng = np.random.default_rng(0)
    lines = ["track,t,a,b,kind"]
    for i in range(12):
        for t in range(12 if i == 0 else 16):
            a, b = np.sin(t * (1 + i % 2) / 2) + 0.1 * rng.standard_normal(2)
            lines.append(f"s{i},{t},{a:.4f},{b:.4f},{'ab'[i % 2]}")
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return path


def call(words: list[str]) -> tuple[int | str, str]:
    """Exit code, "traceback" or "hangs", and output of a command line in this process."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    shown = io.StringIO()
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    code: int | str
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            code = temporal_jepa(words)
        except TimeoutError:
            code = "hangs"
        except BaseException:  # noqa: BLE001 - whatever comes out is what is counted
            traceback.print_exc()
            code = "traceback"
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    return code, shown.getvalue()


def run_of(verb: Verb, run: Path) -> list[str]:
    return [word.replace("RUN", str(run)) for word in verb.words]


def results(verb: Verb, run: Path, shown: str) -> list[bytes]:
    """What a verb made: its files, or what it printed."""
    found = [(run / name).read_bytes() for name in verb.makes]
    return found or [shown.replace(str(run), "RUN").encode()]


def base_run(data: Path, work: Path) -> Path:
    """A run that was stopped after 4 of its 6 steps, with scores and embeddings."""
    run = work / "base"
    words = ["pretrain", "--data", str(data), "--out", str(run), "--id", "track"]
    assert call([*words, "--time", "t", "--label", "kind", *SMALL])[0] == 0
    newest = max((run / "checkpoint").iterdir())
    shutil.rmtree(newest) if newest.is_dir() else newest.unlink()
    assert call(["embed", str(run), str(data)])[0] == 0
    assert call(["probe", str(run)])[0] == 0
    rows = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join(rows[:4]))
    return run


class Campaign:
    """Damages copies of a run and judges what the verbs make of them."""

    def __init__(self, work: Path, seed: int):
        self.work = work
        self.rng = random.Random(seed)
        data = write_data(work / "data.csv")
        self.verbs = verbs(data)
        self.base = base_run(data, work)
        self.whole = {
            name: self._whole_result(verb) for name, verb in self.verbs.items()
        }
        self.count: Counter[str] = Counter()

    def _copy(self) -> Path:
        run = self.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(self.base, run, symlinks=True)
        return run

    def _whole_result(self, verb: Verb) -> list[bytes]:
        run = self._copy()
        code, shown = call(run_of(verb, run))
        assert code == 0, shown
        return results(verb, run, shown)

    def files(self, name: str) -> list[str]:
        """The paths in a run of a file of `READERS`."""
        path = self.base / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [str(file.relative_to(self.base)) for file in found if file.is_file()]

    def damage(
        self, file: str, how: Callable[[Path, random.Random], None], name: str
    ) -> bool:
        """Damage a file of a copy, run a verb; True if nothing was lost."""
        verb = self.verbs[name]
        run = self._copy()
        how(run / file, self.rng)
        code, shown = call(run_of(verb, run))
        verdict = self._judge(verb, run, code, shown)
        self.count[verdict] += 1
        if verdict in ("wrong", "unclear"):
            print(
                f"| {file} | {how.__name__} | {name} | {verdict} | {shown[-300:]!r} |"
            )
        return verdict not in ("wrong", "unclear")

    def _judge(self, verb: Verb, run: Path, code: int | str, shown: str) -> str:
        if code == 1:
            lines = [line for line in shown.splitlines() if line.startswith("error: ")]
            return "refused" if len(lines) == 1 else "unclear"
        if code != 0:
            return "unclear"
        try:
            found = results(verb, run, shown)
        except OSError:
            return "wrong"
        if found == self.whole[verb.name]:
            return "as whole"
        text = shown + "".join(part.decode("utf-8", "replace") for part in found)
        is_said = any(words in text for words in SAID) and verb.name != "resume"
        return "said" if is_said else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=300, help="random cuts and flips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(work.resolve(), options.seed)
        print("| file | damage | verb | verdict | output |\n|---|---|---|---|---|")
        checks = []
        for name, readers in READERS.items():
            for file in campaign.files(name):
                for how in ONCE:
                    if how is remove and file == "probe.json":
                        continue  # as a run that was never scored
                    checks += [campaign.damage(file, how, verb) for verb in readers]
        for _ in range(options.tries):
            name = campaign.rng.choice(list(READERS))
            file = campaign.rng.choice(campaign.files(name))
            how = campaign.rng.choice((cut, flip))
            verb = campaign.rng.choice(READERS[name])
            checks.append(campaign.damage(file, how, verb))
    print(
        f"\n{len(checks)} tries: {dict(campaign.count)}; {checks.count(False)} losses"
    )
    sys.exit(not all(checks))


if __name__ == "__main__":
    main()
