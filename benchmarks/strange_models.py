"""Is a strange `config.json` or `model.safetensors` ever a traceback?

python benchmarks/strange_models.py [--configs 400] [--weights 300] [--seed 0] [--work FOLDER]

Trains a small run by the command line. Then each try puts a strange value into one entry of
`config.json` (another type, null, a list, NaN, a huge number, nested nonsense, a name with escapes)
or removes it, without a checksum as an edited file has none, and runs verbs that read it; or it
changes the header or the bytes of `model.safetensors`. A verb must do its work or refuse the file
in one line that says what was expected. A traceback, a message from the depths of Python or a verb
that does not end is a loss; the exit code is then 1.
"""

import argparse
import contextlib
import copy
import io
import json
import math
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from temporal_jepa import from_pretrained
from temporal_jepa.cli.main import main as temporal_jepa

SMALL = [
    *("--embed-dim", "16", "--predictor-embed-dim", "16", "--num-heads", "2"),
    *("--encoder-depth", "1", "--predictor-depth", "1", "--batch-size", "4"),
    *("--steps", "4", "--save-every", "2", "--log-every", "1", "--watch-every", "2"),
    *("--device", "cpu", "--id", "track", "--time", "t", "--label", "kind"),
]
VERBS = {
    "embed": ("embed", "RUN", "DATA", "--out", "RUN/e.npy"),
    "inspect": ("inspect", "RUN"),
    "report": ("report", "RUN", "--out", "RUN/r.html"),
    "resume": ("pretrain", "--out", "RUN", "--resume"),
    "init": (
        *("pretrain", "--data", "DATA", "--out", "RUN/next", "--init-from", "RUN"),
        *("--steps", "1"),
    ),
    "probe": ("probe", "RUN", "--out", "RUN/p.json"),
    "detect": ("detect", "RUN", "DATA", "--out", "RUN/d.csv"),
    "states": ("states", "RUN", "DATA", "--out", "RUN/s.csv"),
    "nearest": ("nearest", "RUN", "DATA"),
    "export": ("export", "RUN", "--format", "torch"),
}
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1, 3, 1.5, -0.5, 1e308, math.nan, math.inf, 10**12),
    *(2**63, 10**30, "", "x", "\x1b[31m", "../../x", "\ud800", "a\nb", "x" * 10**5),
    *([], [None], [1, 2, 3], ["x0"], [[]], [[1]] * 3, [1e308], list(range(1000))),
    *({}, {"name": 1}, {"name": "masked", "x": 1}, {"x": {"y": [{}]}}, {"": None}),
]
DEPTHS = re.compile(
    r"object is not|unsupported operand|NoneType|not subscriptable|not supported between|"
    r"takes \d+ positional|unexpected keyword|has no attribute|unhashable|too large to convert|"
    r"list indices|cannot be interpreted|codec can't|invalid literal|Traceback|\bdtype\b|"
    r"must be real number|expected str, bytes|could not convert|argument of type|shape mismatch"
)
LONGEST = 60  # seconds of a verb


def entries(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every entry of nested objects."""
    for name, value in config.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from entries(value, (*path, name))


def strange_configs(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every entry with every strange value, without it, and every group with an entry more."""
    found = []
    for path in entries(config):
        for value in [*STRANGE, ...]:
            changed = copy.deepcopy(config)
            holder = changed
            for name in path[:-1]:
                holder = holder[name]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            text = "removed" if value is ... else repr(value)[:40]
            found.append((f"{'.'.join(path)}: {text}", changed))
    for group in ("model", "objective", "modules", "pretrain", "data", "environment"):
        for value in STRANGE:
            changed = copy.deepcopy(config)
            changed[group]["encoder"] = value
            found.append((f"{group}.encoder added: {value!r:.40}", changed))
    return found


def strange_weights(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """The file of weights with a strange header, or with other bytes."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    body = content[8 + size :]
    kind = rng.choice(["bytes", "cut", "size", "entry", "entry", "entry", "text"])
    if kind == "bytes":
        changed = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(min(len(content), size + 64))] = rng.randrange(256)
        return kind, bytes(changed)
    if kind == "cut":
        return kind, content[: rng.randrange(len(content))]
    if kind == "size":
        number = rng.choice([0, 1, 2**31, 2**63, 2**64 - 1, size + 1, 10**11])
        return f"size {number}", number.to_bytes(8, "little") + content[8:]
    if kind == "text":
        text = rng.choice(
            [b"[]", b"{}", b"null", b"[" * 5000, b'{"a":1}', b"\xff" * 64]
        )
        return f"text {text[:9]!r}", len(text).to_bytes(8, "little") + text + body
    name = rng.choice(list(header))
    value = rng.choice(STRANGE)
    if isinstance(header[name], dict) and rng.random() < 0.8:
        part = rng.choice(list(header[name]))
        if part == "dtype":
            value = rng.choice(["F64", "I8", "BOOL", "U64", "F8_E5M2", "C64", value])
        if part == "shape":
            value = rng.choice([[2**40, 2**40], [0], [-1], [1] * 100, value])
        header[name][part] = value
        what = f"{name}.{part}: {value!r:.40}"
    elif rng.random() < 0.3:
        del header[name]
        what = f"{name} removed"
    else:
        header[name] = value
        what = f"{name}: {value!r:.40}"
    if name == "__metadata__" or rng.random() < 0.5:
        header.pop("__metadata__", None)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return what, len(text).to_bytes(8, "little") + text + body


def judge(words: list[str]) -> tuple[str, str]:
    """Run a command in this process: what became of it, and its last words."""
    out, error = io.StringIO(), io.StringIO()

    def stop(*_: object) -> None:
        raise TimeoutError(f"still running after {LONGEST} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            if words[0] == "load":
                from_pretrained(words[1])
                code = 0
            else:
                code = temporal_jepa(words)
    except (ValueError, OSError, MemoryError) as problem:
        if words[0] != "load" or isinstance(problem, TimeoutError):
            return "crash", f"{type(problem).__name__}: {problem}"
        code, text = 1, str(problem)
        return ("unclear" if DEPTHS.search(text) else "refused"), text
    except BaseException as problem:  # noqa: BLE001 - whatever it is, it is a loss
        where = traceback.extract_tb(problem.__traceback__)[-1]
        return "crash", f"{type(problem).__name__}: {problem} ({where.name})"[:300]
    finally:
        signal.alarm(0)
    lines = [line for line in error.getvalue().splitlines() if "warning" not in line]
    text = " | ".join(lines)
    if code == 0:
        return "done", text
    is_clear = len(lines) == 1 and lines[0].startswith("error: ")
    is_clear = is_clear and not DEPTHS.search(text) and len(text) < 1000
    return ("refused" if is_clear else "unclear"), text[:300]


def attempt(run: Path, data: Path, verb: str, work: Path) -> tuple[str, str]:
    """Run a verb on a fresh copy of a run."""
    copied = work / "copy"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(run, copied)
    if verb == "load":
        return judge(["load", str(copied)])
    words = [word.replace("RUN", str(copied)) for word in VERBS[verb]]
    return judge([str(data) if word == "DATA" else word for word in words])


def prepare(work: Path) -> tuple[Path, Path]:
    """A small data set and a run on it, without checksums."""
    rng = np.random.default_rng(0)
    lines = ["track,t,x0,x1,kind"]
    for i in range(12):
        for t in range(60):
            x, y = np.sin(t * (1 + i % 2) / 2) + 0.1 * rng.standard_normal(2)
            lines.append(f"s{i},{t},{x:.4f},{y:.4f},{'ab'[i % 2]}")
    data = work / "data.csv"
    data.write_text("\n".join(lines) + "\n", "utf-8")
    run = work / "run"
    words = ["pretrain", "--data", str(data), "--out", str(run), "--overwrite", *SMALL]
    if temporal_jepa(words):
        raise SystemExit("the run could not be trained")
    config = json.loads((run / "config.json").read_text("utf-8"))
    del config["sha256"]
    config["channels"] = None
    (run / "config.json").write_text(json.dumps(config), "utf-8")
    return data, run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", type=int, default=400)
    parser.add_argument("--weights", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        data, run = prepare(work)
        counts: Counter[tuple[str, str]] = Counter()
        config = json.loads((run / "config.json").read_text("utf-8"))
        known = strange_configs(config)
        print(f"{len(known)} strange configurations")
        for what, changed in rng.sample(known, min(given.configs, len(known))):
            text = json.dumps(changed)
            (run / "config.json").write_text(text, "utf-8")
            for verb in ("load", rng.choice(list(VERBS))):
                became, said = attempt(run, data, verb, work)
                counts["config", became] += 1
                if became in ("crash", "unclear"):
                    print(f"{became}: {what}: {verb}: {said}", flush=True)
        (run / "config.json").write_text(json.dumps(config), "utf-8")
        weights = (run / "model.safetensors").read_bytes()
        for _ in range(given.weights):
            what, content = strange_weights(weights, rng)
            (run / "model.safetensors").write_bytes(content)
            became, said = attempt(run, data, rng.choice(["load", "embed"]), work)
            counts["weights", became] += 1
            if became in ("crash", "unclear"):
                print(f"{became}: weights {what}: {said}", flush=True)
        for (kind, became), count in sorted(counts.items()):
            print(f"{kind}: {count} {became}")
        losses = sum(counts[key] for key in counts if key[1] in ("crash", "unclear"))
    sys.exit(bool(losses))


if __name__ == "__main__":
    main()
