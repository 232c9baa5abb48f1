"""What this package reads back from its own folders: stores, runs, checkpoints, models, settings.

Each kind is one file of a folder that the package itself made: it is damaged, the other files stay
whole, and the folder is read as a user reads it. Where a checksum would refuse the damage at once,
most cases have a right one, as a stranger would write it.
"""

import atexit
import contextlib
import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import hostile_files as hostile
import numpy as np
import torch
from strange_models import STRANGE, strange_weights

from temporal_jepa import from_pretrained
from temporal_jepa.cli.inspect import inspect
from temporal_jepa.cli.main import main as temporal_jepa
from temporal_jepa.cli.options import parse
from temporal_jepa.cli.pretrain import pretrain
from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.store.description import dumped
from temporal_jepa.data.store.prepare import prepare
from temporal_jepa.embed.parts import Parts, embed_in_parts, read_parts
from temporal_jepa.files.sealed import checksum, json_bytes, read_line, seal_line
from temporal_jepa.report.report import write_report
from temporal_jepa.training.checkpoints import Checkpoints
from temporal_jepa.training.storage import MANIFEST

STEP = "checkpoint/step-00000004"
SMALL = (
    *("--embed-dim", "8", "--predictor-embed-dim", "8", "--num-heads", "1"),
    *("--encoder-depth", "1", "--predictor-depth", "1", "--batch-size", "4"),
    *("--steps", "4", "--save-every", "4", "--log-every", "1", "--watch-every", "2"),
    *("--device", "cpu", "--id", "track", "--time", "t", "--label", "kind"),
)
SETTINGS = (
    "steps: 500\nlr: 1e-3\nmask_ratio: 0.5\ndevice: cpu\n",
    "data: a.csv\nvalues: [x0, x1]\nmissing: [NA, '-9']\nid: track\noverwrite: true\n",
    "# made by hand\nembed-dim: 64\nresolutions: [1, 2, 4]\nlayout: null\nseed: 7\n",
)
YAML = (
    *("&a [", "*a", "!!python/object:os.system", "!!set", "<<: *a", "? [", "- - - -"),
    *("{a: {b: {c: 1}}}", "'", '"\\ud800"', "1:30:00", "0o17", "|", ">-", "%YAML 9.9"),
    *("yes", "~", "[1, [2, [3]]]", "steps: 1\n", "---\n", "...\n", "\t", "\x00"),
)
"""Pieces of YAML of which a reader may stumble."""


class Kind(NamedTuple):
    """A file of a folder: how it is damaged, and how the folder is read."""

    base: str  # the folder, by its name in `bases`
    file: str
    damage: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], None]  # from the folder


def text_of_data() -> str:
    """A table of two classes of six series each, of unequal lengths."""
    rng = np.random.default_rng(0)
    lines = ["track,t,a,b,kind"]
    for i in range(12):
        for t in range(12 + i % 3):
            a, b = np.sin(t * (1 + i % 2) / 2) + 0.1 * rng.standard_normal(2)
            day = f"2024-01-{t + 1:02d}"
            lines.append(f"s{i},{day},{a:.4f},{b:.4f},{'ab'[i % 2]}")
    return "\n".join([*lines, ""])


@functools.cache
def bases() -> dict[str, Path]:
    """The whole folders by name, made once in a process."""
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    data = root / "data.csv"
    data.write_text(text_of_data(), "utf-8")
    prepare(data, root / "store", id="track", time="t", label="kind")
    words = ["pretrain", "--data", str(data), "--out", str(root / "run"), *SMALL]
    with contextlib.redirect_stdout(io.StringIO()):
        code = temporal_jepa(words)
    assert code == 0
    model = from_pretrained(root / "run")
    embed_in_parts(model, read(root / "store"), Parts(root / "parts", "npy"), {})
    _make_report_folder(root / "run", root / "log")
    (root / "settings").mkdir()
    (root / "settings" / "a.yaml").write_text(SETTINGS[0])
    names = ("store", "run", "parts", "log", "settings")
    return {name: root / name for name in names}


def _make_report_folder(run: Path, folder: Path) -> None:
    """A run without weights and data, so that its report is made of its logs alone, fast."""
    folder.mkdir()
    config = json.loads((run / "config.json").read_bytes())
    config["data"] = {}
    (folder / "config.json").write_bytes(json_bytes(config))
    shutil.copy(run / "metrics.jsonl", folder)
    names = ("pretrained encoder", "untrained encoder", "statistics")
    scores = [
        {"features": name, "accuracy": 0.9 - k / 9} for k, name in enumerate(names)
    ]
    probe = {
        "task": "classification",
        "probe": "linear",
        "pool": "all",
        "seed": 0,
        "n_train": 9,
        "n_test": 40,
        "n_classes": 2,
        "classes": {"a": [4, 20]},
        "majority": 0.5,
        "commonest": "a",
        "train": "a.csv",
        "scores": scores,
    }
    (folder / "probe.json").write_bytes(json_bytes(probe))


# Ways to damage.


def _changed(value: Any, rng: random.Random) -> Any:
    """A JSON value with one of its entries strange, gone, doubled, or under another name."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(STRANGE)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key: Any = rng.choice(keys)
    copy: Any = value.copy()
    how = rng.randrange(12)
    if how == 0:
        del copy[key]
    elif how == 1 and isinstance(copy, dict):
        copy[rng.choice(hostile.WORDS)] = copy.pop(key)
    elif how == 2 and isinstance(copy, list):
        copy.insert(key, copy[key])
    elif how < 6 and type(copy[key]) in (int, float):
        copy[key] = rng.choice((0, -1, 1, copy[key] + 1, 2 * copy[key], 2**40, 2**62))
    else:
        copy[key] = _changed(copy[key], rng)
    return copy


def _json(
    seal: Callable[[dict[str, Any]], bytes],
) -> Callable[[bytes, random.Random], bytes]:
    """Damage of a JSON file, sealed anew most of the time."""

    def damage(data: bytes, rng: random.Random) -> bytes:
        if rng.random() < 0.15:
            return hostile.damaged_text(data, rng)
        content = json.loads(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            content = _changed(content, rng)
        if not isinstance(content, dict) or rng.random() < 0.1:
            return json.dumps(content).encode()
        return seal(content)

    return damage


def _seal_store(content: dict[str, Any]) -> bytes:
    return dumped({name: x for name, x in content.items() if name != "checksum"})


def _lines(data: bytes, rng: random.Random) -> bytes:
    """Damage of lines of JSON, each sealed anew most of the time."""
    if rng.random() < 0.2:
        return hostile.damaged_text(data, rng)
    lines = data.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        row = _changed(read_line(lines[at]) or {}, rng)
        text = seal_line(row) if isinstance(row, dict) else json.dumps(row)
        lines[at] = text.encode() + b"\n"
    return b"".join(lines)


def _binary(data: bytes, rng: random.Random) -> bytes:
    """Damage of bytes; the file keeps its length most of the time, as its description says it."""
    changed = hostile.damaged_bytes(data, rng, [data])
    if rng.random() < 0.9:
        changed = changed[: len(data)].ljust(len(data), b"\0")
    return changed


def _weights(data: bytes, rng: random.Random) -> bytes:
    return strange_weights(data, rng)[1]


def _array(data: bytes, rng: random.Random) -> bytes:
    is_header = rng.random() < 0.7
    return (hostile.damaged_npy if is_header else _binary)(data, rng)


def _yaml(data: bytes, rng: random.Random) -> bytes:
    seed = rng.choice(SETTINGS).encode()
    changed = hostile.damaged_text(rng.choice((data, seed)), rng)
    if rng.random() < 0.4:
        at = rng.randrange(len(changed) + 1)
        changed = changed[:at] + rng.choice(YAML).encode() + changed[at:]
    return changed


# Ways to read.


def _read_store(folder: Path) -> None:
    """Open a store, and read its first, an inner and its last series with all that they have."""
    found = read(folder)
    assert found.summary()
    for k in (0, len(found) // 2, len(found) - 1):
        assert np.ndim(found.values[k]) == 2
        assert isinstance(found.ids[k], str)
        if found.times is not None:
            assert len(found.times[k]) == len(found.values[k])
        if found.labels is not None:
            assert str(found.labels[k]).isprintable() or True


def _inspect(folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        inspect(str(folder), reading=ReadOptions())


def _load_model(folder: Path) -> None:
    from_pretrained(folder)


def _load_checkpoint(folder: Path) -> None:
    """The state of a run, read into tensors of the shapes that the manifest promises."""

    def template(shapes: Any) -> dict[str, torch.Tensor]:
        return {
            name: torch.zeros(shape, dtype=kind)
            for name, (shape, kind) in shapes.items()
        }

    Checkpoints(folder).load(template)


def _load_shard(folder: Path) -> None:
    """The same with a manifest that fits the file of tensors."""
    path = folder / STEP / MANIFEST
    manifest = json.loads(path.read_bytes())
    for name, facts in manifest["files"].items():
        file = folder / STEP / name
        facts.update(size=file.stat().st_size, sha256=checksum(file))
    path.write_bytes(json_bytes(manifest))
    _load_checkpoint(folder)


def _load_part(folder: Path) -> None:
    """The arrays of an embedding, with a checksum that fits the damaged one."""
    path = folder / "_part-00000.json"
    facts = json.loads(path.read_bytes())
    file = folder / "part-00000.npy"
    facts.update(size=file.stat().st_size, content=checksum(file))
    path.write_bytes(json_bytes(facts))
    read_parts(folder)


def _load_parts(folder: Path) -> None:
    read_parts(folder)


def _report(folder: Path) -> None:
    write_report(folder, overwrite=True)


def _parse_settings(folder: Path) -> None:
    parse(pretrain, ["--config", str(folder / "a.yaml")])


def _store(stream: str) -> Kind:
    return Kind("store", f"{stream}-00000.bin", _binary, _read_store)


SEALED = _json(json_bytes)
KINDS: dict[str, Kind] = {
    "store": Kind("store", "store.json", _json(_seal_store), _read_store),
    "store-values": _store("values"),
    "store-starts": _store("starts"),
    "store-lengths": _store("lengths"),
    "store-ids": _store("ids"),
    "store-id-ends": _store("id-ends"),
    "store-times": _store("times"),
    "store-labels": _store("labels"),
    "manifest": Kind("run", f"{STEP}/{MANIFEST}", SEALED, _load_checkpoint),
    "shard": Kind("run", f"{STEP}/00000.safetensors", _weights, _load_shard),
    "run-config": Kind("run", "config.json", SEALED, _inspect),
    "run-log": Kind("run", "metrics.jsonl", _lines, _inspect),
    "model-config": Kind("run", "config.json", SEALED, _load_model),
    "model-weights": Kind("run", "model.safetensors", _weights, _load_model),
    "report-log": Kind("log", "metrics.jsonl", _lines, _report),
    "report-scores": Kind("log", "probe.json", SEALED, _report),
    "settings": Kind("settings", "a.yaml", _yaml, _parse_settings),
    "embedding": Kind("parts", "_embedding.json", SEALED, _load_parts),
    "embedding-part": Kind("parts", "part-00000.npy", _array, _load_part),
    "embedding-sums": Kind("parts", "_part-00000.json", SEALED, _load_parts),
}
"""The kinds of files, by the name that `fuzz.py` takes."""


def seeds(kind: str) -> list[bytes]:
    """The whole file."""
    return [(bases()[KINDS[kind].base] / KINDS[kind].file).read_bytes()]


def placed(kind: str, folder: Path) -> Path:
    """A copy of the base of a kind in a folder: the path of the file that is damaged."""
    base = bases()[KINDS[kind].base]
    shutil.copytree(base, folder / base.name)
    return folder / base.name / KINDS[kind].file


def attempt(kind: str, path: Path) -> hostile.Finding | None:
    """Read the folder of a damaged file, see `hostile_files.attempt`."""
    known = KINDS[kind]
    folder = path.parents[known.file.count("/")]
    return hostile.judge(lambda: known.read(folder), folder)
