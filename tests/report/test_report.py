"""The report stands alone, is the same every time, and copes with whatever a run lacks."""

import base64
import hashlib
import html
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import TINY, edit_json

from temporal_jepa.cli import main as cli
from temporal_jepa.cli.options import parse
from temporal_jepa.config import RECIPE, PretrainConfig, TemporalJEPAConfig
from temporal_jepa.data import Sequences
from temporal_jepa.report import pages, plots, svg
from temporal_jepa.report.embeddings import Comparison, Embedded
from temporal_jepa.report.groups import CLEAR, find_groups, groups_section
from temporal_jepa.report.map import classes, map_section
from temporal_jepa.report.nouns import noun_of
from temporal_jepa.report.pages import render_page
from temporal_jepa.report.report import write_report
from temporal_jepa.report.run import open_run
from temporal_jepa.report.sketch import LETTERS, sketches
from temporal_jepa.report.timeline import STEPS
from temporal_jepa.report.verdict import find_verdict
from temporal_jepa.training.run import pretrain

CONFIG = PretrainConfig(
    steps=4, batch_size=8, log_every=1, watch_every=2, seed=3, device="cpu"
)
EVIL = "<script>alert('$x$')</script>"
SCORES = {
    "probe": "knn",
    "pool": "all",
    "train": "train.csv",
    "test": "held out of train.csv",
    "n_train": 8,
    "n_test": 40,
    "n_classes": 3,
    "seed": 1,
    "commonest": EVIL,
    "majority": 0.4,
    "scores": [
        {"features": "raw values", "accuracy": 0.5},
        {"features": "untrained encoder", "accuracy": 0.75},
        {"features": "pretrained encoder", "accuracy": 0.85},
    ],
}


def make(
    n: int = 12, channels: int = 2, length: int = 24, labels: list[str] | None = None
) -> Sequences:
    random = np.random.default_rng(0)
    values = [
        np.cumsum(random.normal(size=(length, channels)), axis=0).astype(np.float32)
        for _ in range(n)
    ]
    return Sequences(
        values,
        None
        if labels is None
        else np.array([labels[i % len(labels)] for i in range(n)]),
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored run: two channels, three classes, unequal lengths, missing values."""
    folder = tmp_path_factory.mktemp("a report")
    lines = ["track,t,x,y,kind"]
    for i, series in enumerate(make(length=30, labels=["a"]).values):
        for t, (x, y) in enumerate(series[: 18 + i].tolist()):
            lines.append(
                f"s{i},{t},{'' if i % 4 == 1 and t % 2 else x},{y},{['a', 'b&b', EVIL][i % 3]}"
            )
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    options = {"id": "track", "time": "t", "label": "kind", "values": ["x", "y"]}
    run = pretrain(
        str(path),
        folder / "run",
        CONFIG,
        {**TINY, "mask": "random"},
        data_options=options,
    )
    (run / "probe.json").write_text(json.dumps(SCORES), "utf-8")
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


class Page(HTMLParser):
    """Checks nesting, and keeps the tags, the ids, what is referred to, scripts and the text."""

    EMPTY = frozenset(
        {"meta", "br", "wbr", "path", "use", "rect", "image", "line", "input"}
    )

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in ("href", "src", "xlink:href") else []
            self.links += re.findall(r"url\((.*?)\)", value or "")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(run: Path, **options: Any) -> Page:
    return Page(write_report(run, overwrite=True, **options).read_text("utf-8"))


def test_the_page_stands_alone_and_shows_every_part(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    assert path.stat().st_size < 1_000_000
    shown = Page(path.read_text("utf-8"))
    sections = "data space groups neighbors surprise masks scores training positions"
    found = [name for name in shown.ids if name in sections.split()]
    assert found == sections.split()  # pictures first, then scores, then training
    assert {"commands", "settings"} <= set(shown.ids)
    assert EVIL in shown.text
    assert all(link.startswith(("#", "data:image/png")) for link in shown.links), set(
        shown.links
    )
    assert {link[1:] for link in shown.links if link.startswith("#")} <= set(shown.ids)
    assert len(shown.ids) == len(set(shown.ids))
    assert "@import" not in path.read_text("utf-8")
    assert "holds 12 series of 18 to 29 timesteps" in shown.text
    assert "10.0 points" in shown.text
    assert "Not finished" not in shown.text


def test_its_own_script_is_the_only_one_that_a_browser_may_run(run: Path) -> None:
    text = write_report(run).read_text("utf-8")
    data, script = Page(text).scripts
    assert script == resources.files(pages.__package__).joinpath(
        pages.SCRIPT
    ).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'-Policy" content="(.*?)">', text)
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == f"'sha256-{digest}'"
    assert not set("<>&'") & set(data)  # nothing in it ends the element
    points = json.loads(data)
    assert len(points["ids"]) == 12
    assert EVIL in points["labels"]


def test_the_same_inputs_give_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first = write_report(run, out=tmp_path / "a.html")
    second = write_report(run, out=tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_nothing_is_overwritten_unasked(run: Path) -> None:
    write_report(run).write_text("mine", "utf-8")
    with pytest.raises(FileExistsError, match=r"report\.html.*--overwrite"):
        write_report(run)
    assert (run / "report.html").read_text("utf-8") == "mine"


def test_commands_give_the_settings_of_the_run(run: Path) -> None:
    file = run / "config.json"
    edit_json(file, lambda config: config["pretrain"].update(compile=True))  # no value
    config = json.loads(file.read_text("utf-8"))
    lines = re.findall(r"<pre>(.*?)</pre>", write_report(run).read_text("utf-8"))
    commands = {
        words[1]: words for words in (shlex.split(Page(line).text) for line in lines)
    }
    assert list(commands) == ["pretrain", "embed", "probe", "report"]
    options = {
        verb: parse(cli.VERBS[verb], words[2:]) for verb, words in commands.items()
    }
    settings = {
        **config["model"],
        **config["pretrain"],
        "data": config["data"]["path"],
        "out": str(run),
        "values": ("x", "y"),
    }
    for name in ("input_dim", "frame", "patch_size", "resolutions"):  # the data decide
        del settings[name]
    defaults = {
        name: RECIPE.get(name, field.default)
        for name, field in TemporalJEPAConfig.__dataclass_fields__.items()
    }
    arguments = options["pretrain"]
    reading = vars(arguments["reading"])
    given = {
        **defaults,
        **arguments,
        **vars(arguments["training"]),
        **reading,
        **arguments["model"],
    }
    assert (
        given.items()
        >= {**settings, "id": "track", "time": "t", "label": "kind"}.items()
    )
    assert given["init_from"] == "scratch"
    assert (
        options["probe"].items()
        >= {"train": "train.csv", "kind": "knn", "seed": 1}.items()
    )


def test_without_the_data_no_series_are_drawn(run: Path) -> None:
    edit_json(
        run / "config.json", lambda config: config["data"].update(path="gone.csv")
    )
    shown = page(run)
    assert "The data could not be read again" in shown.text
    assert "gone.csv" in shown.text
    assert {"training", "positions", "scores"} <= set(shown.ids)
    assert not {"space", "neighbors", "masks"} & set(shown.ids)


def log(run: Path, verdict: str) -> None:
    """Set the verdict of the last row of metrics."""
    rows = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    last = {**json.loads(rows[-1]), "verdict": verdict}
    del last["crc"]
    (run / "metrics.jsonl").write_text(
        "\n".join([*rows[:-1], json.dumps(last)]) + "\n", "utf-8"
    )


def verdict_of(run: Path) -> tuple[str, str]:
    """Level and sentence."""
    text = write_report(run, overwrite=True).read_text("utf-8")
    ((level, sentence),) = re.findall(r'<p class="verdict (\w+)">(.*?)</p>', text)
    return level, html.unescape(re.sub(r"<.*?>", "", sentence))


@pytest.mark.parametrize(
    ("logged", "level", "sentence"),
    [
        (
            "weak: train longer; healthy: no collapse (std 0.85 of it, rank 6 of 7)",
            "weak",
            "Train again before you use this encoder: train longer; no collapse.",
        ),
        (
            "weak: train longer; collapsed: all alike",
            "collapsed",
            "Do not use this encoder: train longer; all alike.",
        ),
        (
            "unknown: too few",
            "unknown",
            "It is not known whether this encoder is of use: too few.",
        ),
    ],
)
def test_without_scores_training_decides_the_verdict(
    run: Path, logged: str, level: str, sentence: str
) -> None:
    log(run, logged)
    (run / "probe.json").unlink()
    assert verdict_of(run) == (level, sentence)


@pytest.mark.parametrize(
    ("raw", "untrained", "logged", "level", "sentence"),
    [
        (
            0.5,
            0.6,
            "healthy: no sign of collapse",
            "healthy",
            "Use this encoder: it labels 85.0% of 40 test sequences correctly, the best "
            "control, untrained encoder, 60.0%, guessing 40.0%.",
        ),
        (
            0.5,
            0.6,
            "weak: train longer",
            "weak",
            "Use this encoder with care: it labels 85.0% of 40 test sequences correctly, "
            "the best control, untrained encoder, 60.0%, guessing 40.0%; but training says: "
            "train longer.",
        ),
        (
            0.5,
            0.85,
            "healthy: no sign of collapse",
            "weak",
            "Use untrained encoder, the simplest that does as well: 40 test sequences do not "
            "tell apart untrained encoder (85.0%) and this encoder (85.0%), guessing 40.0%.",
        ),
        (
            0.9,
            0.9,
            "healthy: no sign of collapse",
            "weak",
            "Use raw values, the simplest that does as well: 40 test sequences do not tell "
            "apart raw values (90.0%) and this encoder (85.0%), guessing 40.0%.",
        ),
        (
            0.775,
            0.6,
            "healthy: no sign of collapse",
            "unknown",
            "Too few test sequences to choose: 40 do not tell apart this encoder "
            "(85.0%) and raw values (77.5%), guessing 40.0%; label more of them.",
        ),
        (
            1.0,
            0.5,
            "unknown: not finite",
            "weak",
            "Use raw values instead of this encoder: it labels 100.0% of 40 test sequences "
            "correctly, this encoder 80.0%, guessing 40.0%.",
        ),
        (
            0.5,
            0.45,
            "healthy: no sign of collapse",
            "weak",
            "No features tell the labels better than guessing: the best of 3, pretrained "
            "encoder, labels 52.5% of 40 test sequences correctly and guessing 40.0%, and so "
            "small a difference may be chance.",
        ),
        (
            0.9,
            0.9,
            "collapsed: all alike",
            "collapsed",
            "Do not use this encoder: all alike; use raw values instead.",
        ),
    ],
)
def test_the_verdict_names_what_the_scores_speak_for(
    run: Path, raw: float, untrained: float, logged: str, level: str, sentence: str
) -> None:
    log(run, logged)
    ours = {(1.0, 0.5): 0.8, (0.5, 0.45): 0.525}.get((raw, untrained), 0.85)
    scores = {
        "raw values": raw,
        "untrained encoder": untrained,
        "pretrained encoder": ours,
    }
    rows = [{"features": name, "accuracy": value} for name, value in scores.items()]
    edit_json(run / "probe.json", lambda probe: probe.update(scores=rows))
    assert verdict_of(run) == (level, sentence)
    text = Page((run / "report.html").read_text("utf-8")).text
    within_noise = "costs 5.0 points of accuracy, which may be chance" in text
    assert within_noise == (untrained == 0.9)


@pytest.mark.parametrize(
    ("after", "control", "level", "advice"),
    [
        (0.9, 0.5, "healthy", "Training helped"),
        (0.5, 0.5, "weak", "Training made no clear difference to series-small"),
        (0.5, 0.9, "weak", "Training did harm, use series-small"),
    ],
)
def test_without_scores_the_labels_of_neighbors_are_compared_with_the_control(
    run: Path, after: float, control: float, level: str, advice: str
) -> None:
    log(run, "healthy: no sign of collapse")
    opened = open_run(run, make(n=100))
    shares = {"after": after, "control": control, "chance": 0.2}
    compared = Comparison("series-small", 100, 0.5, shares)
    verdict = find_verdict(opened, None, compared, None)
    assert (verdict.level, verdict.advice) == (level, advice)
    assert f"{after:.0%} of the nearest neighbors" in verdict.reason


@pytest.mark.parametrize(
    ("unchanged", "error", "level", "advice"),
    [
        (0.98, 0.8, "weak", "Training changed little"),
        (1.0, 1.0, "weak", "Training changed little"),
        (0.4, 0.8, "unknown", "Training changed the embedding"),
    ],
)
def test_training_that_leaves_the_neighbors_as_they_are_is_no_success(
    run: Path, unchanged: float, error: float, level: str, advice: str
) -> None:
    log(run, "healthy: no sign of collapse")
    compared = Comparison("series-small", 100, unchanged, None)
    verdict = find_verdict(open_run(run, None), None, compared, error)
    assert (verdict.level, verdict.advice) == (level, advice)
    assert f"{unchanged:.0%} of the nearest neighbors" in verdict.reason
    assert "series-small" in verdict.reason


def test_a_short_training_that_changed_nothing_need_not_be_longer(run: Path) -> None:
    log(run, "weak: the prediction is no better than guessing; no sign of collapse")
    compared = Comparison("series-small", 100, 1.0, None)
    verdict = find_verdict(open_run(run, None), None, compared, 1.0)
    assert verdict.advice == "Training changed little"
    changed = Comparison("series-small", 100, 0.1, None)
    verdict = find_verdict(open_run(run, None), None, changed, 1.0)
    assert verdict.advice == "Train again before you use this encoder"


def test_predictions_no_better_than_a_guess_are_no_success(run: Path) -> None:
    log(run, "healthy: no sign of collapse")
    opened = open_run(run, None)
    verdicts = [find_verdict(opened, None, None, error).level for error in (0.9, 1.0)]
    assert verdicts == ["unknown", "weak"]


def test_a_run_that_was_killed_shows_what_there_is(run: Path) -> None:
    (run / "model.safetensors").unlink()
    (run / "probe.json").unlink()
    rows = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    (run / "metrics.jsonl").write_text(
        rows[0] + "\n" + rows[1][:40], "utf-8"
    )  # one row and a line cut short
    shown = page(run)
    assert "The run is at step 1 of 4" in shown.text
    assert "whether this encoder is of use: no collapse statistics were" in shown.text
    assert "model.safetensors is missing" in shown.text
    assert "training" in shown.ids
    assert not {"positions", "space", "masks", "scores"} & set(shown.ids)
    (run / "metrics.jsonl").unlink()
    assert "training" not in page(run).ids


def test_changed_data_is_noticed(run: Path) -> None:
    path = Path(json.loads((run / "config.json").read_text("utf-8"))["data"]["path"])
    fewer = path.with_name("fewer.csv")
    fewer.write_text(
        "".join(
            line
            for line in path.read_text("utf-8").splitlines(True)
            if "s3," not in line
        ),
        "utf-8",
    )
    edit_json(
        run / "config.json", lambda config: config["data"].update(path=str(fewer))
    )
    assert "12 sequences then, 11 now" in page(run).text
    other_time = path.read_text("utf-8").replace("s3,1,", "s3,1.5,")
    fewer.write_text(other_time, "utf-8")
    assert "has changed" not in page(run).text
    head, first, *rest = path.read_text("utf-8").splitlines()
    series, time, x, _, kind = first.split(",")
    fewer.write_text(
        "\n".join([head, f"{series},{time},{x},9.5,{kind}", *rest]), "utf-8"
    )
    assert "its values are not those of the training data" in page(run).text


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda run: (run / "config.json").unlink(),
            FileNotFoundError,
            r"config\.json is missing",
        ),
        (
            lambda run: (run / "probe.json").write_text("{"),
            ValueError,
            r"probe\.json.*JSON",
        ),
        (
            lambda run: (run / "metrics.jsonl").write_text("{]}\n"),
            ValueError,
            r"metrics\.jsonl: line 1 was changed",
        ),
    ],
)
def test_damage_is_explained(
    run: Path, spoil: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    spoil(run)
    with pytest.raises(error, match=message):
        write_report(run)


def test_other_channels_than_the_models_are_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="the model expects 2 channels, got 3"):
        write_report(run, sequences=make(channels=3))


def test_many_channels_without_labels_and_with_gaps(tmp_path: Path) -> None:
    sequences = make(n=4, channels=24, length=700)
    sequences.values[0][5:400] = np.nan
    sequences.values[1][:, 0] = np.nan
    run = pretrain(
        sequences,
        tmp_path / "run",
        replace(CONFIG, steps=1, batch_size=2),
        {**TINY, "patch_len": 32},
    )
    shown = page(run, sequences=sequences)
    assert "(3 of 24 channels)" in shown.text
    assert "its label after training" not in shown.text
    assert "groups" not in shown.ids  # of four sequences
    assert {"neighbors", "masks"} <= set(shown.ids)
    assert "positions" not in shown.ids  # a single step is no course
    assert run.joinpath("report.html").stat().st_size < 1_000_000


def test_pooled_prediction_has_no_error_of_single_timesteps(tmp_path: Path) -> None:
    data = make(n=3, channels=1)
    run = pretrain(data, tmp_path / "run", CONFIG, {**TINY, "predict": "pooled"})
    shown = page(run, sequences=data)
    assert "drawn for runs that predict masked latents one by one" in shown.text
    assert "masks" not in shown.ids


@pytest.mark.slow
def test_ten_thousand_series_of_hundreds_of_classes_stay_small(run: Path) -> None:
    labels = [f"class {i}" for i in range(301)]
    shown = page(run, sequences=make(n=10_000, length=40, labels=labels))
    assert (run / "report.html").stat().st_size < 2_000_000
    points = json.loads(shown.scripts[0])
    assert len(points["ids"]) == 10_000
    assert "277 rarer classes" in shown.text


def test_every_class_has_a_marker_or_is_gray() -> None:
    labels = np.array([f"class {i:02}" for i in range(26)] * 2 + ["class 03"])
    codes, legend = classes(labels)
    assert sorted(set(codes.tolist())) == list(range(-1, 24))
    looks = [(shape, color) for shape, color, *_ in legend]
    assert len(set(looks)) == 25
    assert legend[0][2:] == ("2 rarer classes", 4)
    assert dict(row[2:] for row in legend)["class 03"] == 3


def embedded(n: int = 50) -> Embedded:
    """Points on a line, in two labels; the control has them at random places."""
    line = np.linspace(0, 10, n)[:, None] ** 2
    control = np.random.default_rng(0).permutation(line)
    data = Sequences(make(n=n).values, np.array(["a", "b"]).repeat(n // 2))
    return Embedded(data, "random weights", control, line, 1)


def test_distances_are_placed_among_all_pairs() -> None:
    points = embedded()
    each = np.abs(points.trained - points.trained.T)[np.triu_indices(50, 1)]
    for distance in (each.min(), *np.quantile(each, [0.2, 0.7]), each.max()):
        share = np.mean(each > distance * (1 + 1e-9))
        assert points.pairs.farther(distance) == pytest.approx(share)
    assert (
        points.pairs.placed(float(np.quantile(each, 0.25)))
        == "closer than 75% of pairs"
    )
    assert points.pairs.placed(float(each.max())) == "as far apart as any pair"
    assert points.pairs.placed(float(each.min())) == "closer than 99.9% of pairs"
    assert points.pairs.placed(0.0) == "the same to the encoder"


def test_many_pairs_are_drawn_at_random() -> None:
    points = embedded(1000)
    assert len(points.pairs.distances) == 200_000
    each = np.abs(points.trained - points.trained.T)[np.triu_indices(1000, 1)]
    for share in (0.1, 0.5, 0.9):
        found = points.pairs.farther(float(np.quantile(each, 1 - share)))
        assert found == pytest.approx(share, abs=0.01)


def test_neighbors_are_compared_with_those_of_the_control() -> None:
    points = embedded()
    compared = points.comparison
    assert compared.unchanged < 0.3
    assert compared.agreement is not None
    assert compared.agreement["after"] > 0.9
    assert compared.agreement["control"] == pytest.approx(0.5, abs=0.15)
    assert compared.agreement["chance"] == pytest.approx(24 / 49)
    same = replace(points, control=points.trained)
    assert same.comparison.unchanged == 1


def test_groups_are_found_and_named_by_their_size() -> None:
    draw = np.random.default_rng(0)
    centers = np.repeat([[0.0, 0], [9, 0], [0, 9]], [30, 12, 20], axis=0)
    rows = centers + draw.normal(size=centers.shape)
    rows[3] = [0, -4]  # an odd member of the first
    data = make(n=62)
    points = Embedded(data, "random weights", rows, rows, 2)
    groups = find_groups(points)
    assert groups is not None
    assert np.bincount(groups.of).tolist() == [30, 20, 12]
    assert groups.silhouette > CLEAR
    section = groups_section(points, groups)
    assert section is not None
    assert section["level"] == "clear"
    assert section["rows"][0]["odd"][0]["id"] == "3"
    noise = Embedded(data, "", rows, draw.normal(size=(62, 16)), 16)
    found = groups_section(noise, find_groups(noise))
    assert found is not None
    assert found["level"] == "none"


@pytest.mark.parametrize(("others", "level"), [(30, "one"), (20, "clear")])
def test_sequences_that_are_unlike_all_others_are_no_group(
    others: int, level: str
) -> None:
    draw = np.random.default_rng(0)
    centers = np.repeat([[0.0, 0], [9, 0]], [others, 30 - others], axis=0)
    rows = np.concatenate(
        [draw.normal(size=centers.shape) / 5 + centers, [[-40, 40], [-40, -40]]]
    )
    points = Embedded(make(n=32), "random weights", rows, rows, 2)
    groups = find_groups(points)
    assert groups is not None
    assert np.flatnonzero(groups.of < 0).tolist() == [30, 31]
    section = groups_section(points, groups)
    assert section is not None
    assert section["level"] == level
    assert section["alone"]["names"] == ["30", "31"]
    text = render_page("groups.html", groups=section, noun=noun_of(points.sequences))
    assert "2 series are unlike all others" in Page(text.decode()).text
    drawn = map_section(points, groups)
    assert drawn["data"]["group"].count(0) == 2


def test_scores_of_several_splits_have_their_deviations(run: Path) -> None:
    def several(probe: dict[str, Any]) -> None:
        probe.update(splits=10, n_test_each=12)
        for row in probe["scores"]:
            row["accuracy_std"] = 0.07

    edit_json(run / "probe.json", several)
    text = page(run).text
    assert "Means over 10 random splits" in text
    assert "each tests 12 sequences" in text
    assert "± 7.0%" in text


def test_a_sketch_has_the_shape_of_its_sequence() -> None:
    x = np.zeros((200, 1))
    x[120] = 5.0
    x[:20] = np.nan
    found = sketches(Sequences([x, -x]), budget=128)
    assert found is not None
    assert found["length"] == 64
    up, down = found["text"][:64], found["text"][64:]
    assert up[:5] == "....."
    assert LETTERS.index(max(up.strip("."), key=LETTERS.index)) == 63
    assert set(up[8:30]) == {LETTERS[0]}
    assert set(down[8:30]) == {LETTERS[-1]}
    assert [LETTERS.index(a) for a in up[8:]] == [
        63 - LETTERS.index(a) for a in down[8:]
    ]


def test_ten_thousand_sketches_keep_to_their_budget() -> None:
    many = Sequences([np.zeros((100, 3))] * 1000)
    found = sketches(many, budget=40_000)
    assert found is not None
    assert len(found["text"]) <= 40_000
    assert found["lines"] == 1


@pytest.mark.parametrize(
    ("palette", "backgrounds"),
    [
        (svg.COLORS, ("#ffffff", "#f6f7f9")),
        (svg.DARK_COLORS, ("#14171c", "#1c2027")),
    ],
)
def test_colors_can_be_seen_on_the_page(
    palette: tuple[str, ...], backgrounds: tuple[str, str]
) -> None:
    for color in palette:
        for background in backgrounds:
            high, low = sorted(map(luminance, (color, background)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 3, color  # WCAG 2.1, 1.4.11


def luminance(color: str) -> float:
    """Relative luminance, as WCAG defines it."""
    shares = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_equal_sequences_are_drawn(run: Path) -> None:
    shown = page(run, sequences=Sequences(make(n=1).values * 4))
    assert {"space", "neighbors"} <= set(shown.ids)
    assert "the same to the encoder" in shown.text
    assert not {"groups", "surprise"} & set(shown.ids)


def tile(values: np.ndarray) -> str:
    """A series as it is drawn beside its neighbors."""
    series = Sequences([values.astype(np.float32)])
    (shown, _) = plots.neighbor_row("a", series, series, np.zeros(1))
    return str(shown["svg"])


def test_a_long_series_is_small_and_keeps_its_peak() -> None:
    flat = np.zeros((100_000, 1))
    peak = flat.copy()
    peak[1234] = 7.0
    noise = np.random.default_rng(0).normal(size=flat.shape)
    assert tile(peak).count("L ") > tile(flat).count("L ")
    assert len(tile(noise)) < 20_000


def test_a_sample_between_missing_values_is_a_dot() -> None:
    lonely = np.full((9, 1), np.nan)
    lonely[[2, 6]] = 1.0
    assert tile(lonely).count("<use") == 2


def tracks() -> Sequences:
    """Walks about 180 degrees east, in steps of about a kilometre."""
    steps = [np.diff(x, axis=0, prepend=0) for x in make(labels=["a", "b"]).values]
    places = [np.cumsum(0.01 * x, axis=0) + np.array([179.99, 60.0]) for x in steps]
    places = [
        np.column_stack([(lon + 180) % 360 - 180, lat])
        for lon, lat in (p.T for p in places)
    ]
    return Sequences(steps, channels=["dx", "dy"], places=places, degrees=True)


def test_tracks_are_maps_in_the_gallery_and_under_the_masks(tmp_path: Path) -> None:
    run = pretrain(tracks(), tmp_path / "run", CONFIG, {**TINY, "patch_len": 4})
    shown = page(run, sequences=tracks())
    assert "A dot marks the start of each path." in shown.text
    assert "Channel:" not in shown.text
    assert re.search(r"\d km across closer than \d", shown.text)
    assert {"neighbors", "masks"} <= set(shown.ids)


def test_a_map_keeps_directions_and_crosses_the_antimeridian() -> None:
    corner = np.array([[179.99, 60], [-179.99, 60], [-179.99, 60.01]])
    path = plots.path_of(
        Sequences([np.zeros((3, 1))], places=[corner], degrees=True), 0
    )
    assert path is not None
    east, north = np.diff(path[:, 0], axis=0)
    # meters per degree on WGS84 at 60 degrees north
    np.testing.assert_allclose(east, [0.02 * 55_800, 0], atol=1)
    np.testing.assert_allclose(north, [0, 0.01 * 111_412], atol=1)


def test_channels_named_x_and_y_are_a_path() -> None:
    values = np.arange(6.0).reshape(3, 2)
    path = plots.path_of(Sequences([values], channels=["y", "X"]), 0)
    assert path is not None
    np.testing.assert_array_equal(path[:, 0], values[:, ::-1])
    assert plots.path_of(Sequences([values]), 0) is None


def test_agents_of_a_scene_are_paths_with_their_masks_in_gray(tmp_path: Path) -> None:
    walks = np.random.default_rng(0).normal(size=(6, 12, 3, 2)).cumsum(1)
    walks[:, 6:, 2] = np.nan  # one agent leaves
    names = [f"{k}:{name}" for k in range(3) for name in "xy"]
    scenes = replace(Sequences.from_arrays(walks), channels=names)
    mask = np.array([[True, False, False]] * 3)
    drawn = plots.masked(
        "a", scenes, 0, mask=mask, error=np.ones(3), limit=1.0, token=(4, 1), axis=STEPS
    )
    assert drawn.count("opacity: 0.25") == 1
    for code in range(3):
        assert svg.color_of(code) in drawn
    run = pretrain(
        scenes, tmp_path / "run", CONFIG, {**TINY, "patch_len": 4, "mask": "tube"}
    )
    shown = page(run, sequences=scenes)
    assert {"neighbors", "masks"} <= set(shown.ids)


def test_videos_are_frames_with_their_masks_in_gray(tmp_path: Path) -> None:
    videos = np.random.default_rng(0).integers(
        0, 256, (4, 6, 10, 12, 3), dtype=np.uint8
    )
    mask = np.zeros((3, 6), dtype=bool)
    mask[1, 5] = True  # the last cell of a grid of 2 x 3
    frames = plots.masked_frames(videos[0], mask, patch=2, side=5)
    changed = (frames != videos[0, ::2]).any(-1)
    assert changed[1, 5:, 10:].mean() > 0.9
    assert not changed[[0, 2]].any()
    assert not changed[1, :5].any()
    assert not changed[1, :, :10].any()
    whole = Sequences.from_arrays(videos)
    run = pretrain(whole, tmp_path / "run", CONFIG, {**TINY, "patch_size": 5})
    shown = page(run, sequences=whole)
    assert "Frames of each video, evenly spaced." in shown.text
    assert "2 timesteps of 5 x 5 pixels" in shown.text
    assert {"neighbors", "masks"} <= set(shown.ids)
    assert shown.tags.count("image") >= 16 + 4
    assert json.loads(shown.scripts[0])["sketch"] is None


@pytest.mark.parametrize("labels", [None, ["a", "b"]])
def test_a_probe_is_proposed_where_there_are_labels(
    tmp_path: Path, labels: list[str] | None
) -> None:
    data = make(labels=labels)
    shown = page(pretrain(data, tmp_path / "run", CONFIG, TINY), sequences=data)
    assert ("temporal-jepa probe" in shown.text) == (labels is not None)
    assert "temporal-jepa embed" in shown.text


def test_scores_of_a_regression_are_r2(run: Path) -> None:
    rows = [
        {"features": "raw values", "probe": "ridge", "r2": 0.5, "rmse": 12.25},
        {"features": "untrained encoder", "probe": "ridge", "r2": 0.75, "rmse": 8.5},
        {"features": "pretrained encoder", "probe": "ridge", "r2": 0.7, "rmse": 9.5},
    ]
    mean = {"predicted": 3.5, "r2": -0.01, "rmse": 17.5}
    change = {"task": "regression", "mean": mean, "scores": rows}
    edit_json(run / "probe.json", lambda probe: probe.update(change))
    text = write_report(run).read_text("utf-8")
    assert "Use untrained encoder, the simplest that does as well" in text
    assert "untrained encoder (R² 0.750) and this encoder (R² 0.700)" in text
    assert "guessing R² 0.000" in text
    for value in ("0.700", "-0.010", "12.25", "17.5"):
        assert value in text
    assert "ccuracy" not in text


def test_numbers_to_predict_are_no_classes(tmp_path: Path) -> None:
    labels = [f"{k / 7:.4f}" for k in range(1, 13)]
    data = replace(make(labels=labels), task="regression")
    shown = page(pretrain(data, tmp_path / "run", CONFIG, TINY), sequences=data)
    assert "rarer classes" not in shown.text
    assert "its label after training" not in shown.text
