"""The bundled encoder, through every room: estimator, training, run folder, command line."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import random_walks
from safetensors.torch import load_file
from small_runs import drop_checkpoint
from synthetic_series import synthetic_pairs

from temporal_jepa import Sequences, TemporalJEPAEmbedder, from_pretrained, pretrain
from temporal_jepa.checkpoint import save_pretrained
from temporal_jepa.cli import main as cli
from temporal_jepa.config import PretrainConfig
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier
from temporal_jepa.files import BUNDLED, channels_of, read_config
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.report.report import write_report
from temporal_jepa.training.initial import start_of

FEATURES = (
    3 * (160 + 2 * 64) * 5
)  # resolutions x (responses + layers x width) x quantiles


@pytest.fixture(scope="module")
def small() -> TemporalJEPAEmbedder:
    return TemporalJEPAEmbedder.from_pretrained("series-small")


def test_any_channels_and_length(
    small: TemporalJEPAEmbedder,
) -> None:
    X = [
        random_walks(1, 2, 40)[0],
        random_walks(1, 2, 7)[0],
        random_walks(1, 2, 700)[0],
    ]
    Z = small.transform(X)
    assert Z.shape == (3, small.transform(random_walks(1, 1, 90)[0]).shape[1] + 258)
    np.testing.assert_array_equal(small.transform(X[1:]), Z[1:])
    assert (
        sum(path.stat().st_size for path in (BUNDLED / "series-small").iterdir())
        < 8_000_000
    )


@pytest.mark.parametrize("length", [2, 4, 5])
def test_series_of_one_token_are_the_same_alone(
    small: TemporalJEPAEmbedder, length: int
) -> None:
    X = np.random.default_rng(0).normal(size=(20, 1, length))
    alone = [small.transform(x[None]) for x in X]
    np.testing.assert_array_equal(np.concatenate(alone), small.transform(X))


def test_base_of_a_classifier_and_pandas_output() -> None:
    X = np.random.default_rng(0).normal(size=(12, 3, 40))
    y = np.arange(12) % 2
    X[y == 1, 0] += np.sin(np.arange(40)) * 3
    classifier = TemporalJEPAClassifier("series-small", steps=4, random_state=0).fit(
        X, y
    )
    assert classifier.steps_ == 0  # the ridge model on frozen features was as good
    assert classifier.score(X, y) == 1
    with pytest.raises(ValueError, match="expected series of 3 channels"):
        classifier.predict(X[:, :1])
    table = (
        TemporalJEPAEmbedder.from_pretrained("series-small")
        .set_output(transform="pandas")
        .transform(X)
    )
    assert table.shape == (12, FEATURES + 3 * 258)


def test_nearest_neighbors_are_of_one_process_more_often_than_with_random_weights() -> (
    None
):
    trained = from_pretrained("series-small")
    pairs = synthetic_pairs(48, seed=2**31)
    shares = []
    for model in (trained, random_init_like(trained, 0)):
        Z = embed_sequences(model, Sequences.from_arrays(pairs.reshape(-1, 1, 512)))
        Z = (Z - Z.mean(0)) / (Z.std(0) + 1e-6)
        distance = np.linalg.norm(Z[::2, None] - Z[None, 1::2], axis=-1)
        shares.append((distance.argmin(1) == np.arange(48)).mean())
    assert shares[0] > shares[1] + 0.05


def test_compact_embeddings_find_the_series_of_one_process() -> None:
    model = from_pretrained("series-small")
    pairs = Sequences.from_arrays(synthetic_pairs(128, seed=2**31).reshape(-1, 1, 512))
    shares = {}
    for dim in (None, 128, 4):
        Z = embed_sequences(model, pairs, dim=dim)
        if dim is None:
            Z = (Z - Z.mean(0)) / (Z.std(0) + 1e-6)
        distance = np.linalg.norm(Z[::2, None] - Z[None, 1::2], axis=-1)
        shares[dim] = (distance.argmin(1) == np.arange(128)).mean()
    assert shares[128] > shares[None] - 0.06
    assert shares[128] > shares[4] + 0.1


def test_fitting_keeps_the_stored_components(tmp_path: Path) -> None:
    X = random_walks(6, 2, 60)
    stored = from_pretrained("series-small").components
    embedder = TemporalJEPAEmbedder(steps=1, random_state=0, dim=32).fit(X)
    assert torch.equal(embedder.model_.components.directions, stored.directions)
    assert embedder.transform(X).shape == (6, 32)
    frozen = TemporalJEPAEmbedder(frozen=True, dim=128).fit_transform(X[:1])
    assert frozen.shape == (1, 128)
    classifier = TemporalJEPAClassifier(embedder, steps=4, random_state=0)
    y = np.arange(6) % 2
    assert classifier.fit(X, y).predict(X).shape == (6,)
    assert classifier.head_[-1].n_features_in_ == 32
    run = pretrain(
        Sequences.from_arrays(X),
        tmp_path / "run",
        PretrainConfig(steps=1, device="cpu"),
    )
    assert torch.equal(from_pretrained(run).components.directions, stored.directions)


def test_adapt_continues_from_the_weights(small: TemporalJEPAEmbedder) -> None:
    X = random_walks(6, 2, 60)
    before = small.model_
    adapted = TemporalJEPAEmbedder.from_pretrained("series-small").adapt(X, steps=2)
    assert adapted.transform(X).shape == small.transform(X).shape
    with torch.no_grad():
        pairs = zip(adapted.model_.parameters(), before.parameters(), strict=True)
        change = [float((a - b).abs().max()) for a, b in pairs]
    assert 0 < max(change) < 0.01


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="series-small"):
        from_pretrained(tmp_path / "series-large")


def test_the_command_line_embeds_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", random_walks(3, 2, 20))
    assert cli.main(["embed", "series-small", "data.npy"]) == 0
    assert np.load("embeddings.npz")["embeddings"].shape == (3, FEATURES + 2 * 258)
    words = ["embed", "series-small", "data.npy", "--overwrite", "--dim"]
    assert cli.main([*words, "128"]) == 0
    assert np.load("embeddings.npz")["embeddings"].shape == (3, 128)
    assert cli.main([*words, "0"]) == 0
    assert np.load("embeddings.npz")["embeddings"].shape == (3, FEATURES + 2 * 258)
    assert cli.main([*words, "129"]) == 1
    assert "choose a dim from 1 to 128" in capsys.readouterr().err
    assert cli.main([*words, "8", "--timesteps"]) == 1
    assert "leave out --timesteps or --dim" in capsys.readouterr().err
    words = ["export", "series-small", "--format", "torch", "--length", "20"]
    assert cli.main([*words, "--dim", "16"]) == 0
    assert "-> (batch, 16)" in capsys.readouterr().out


def test_the_command_line_probes_and_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = [
        np.sin(np.arange(40) * (1 + k % 2) / 3) + rng.normal(0, 0.1, 40)
        for k in range(16)
    ]
    rows = [f"{k % 2}\t" + "\t".join(f"{v:.3f}" for v in x) for k, x in enumerate(X)]
    Path("x.tsv").write_text("\n".join(rows) + "\n")
    assert cli.main(["probe", "series-small", "--train", "x.tsv"]) == 0
    search = ["nearest", "series-small", "x.tsv", "--among", "x.tsv"]
    assert cli.main([*search, "--out", "near.html"]) == 0
    printed = capsys.readouterr().out
    assert "nearest of 16 sequences" in printed
    assert "compact embeddings of 128 numbers" in printed
    assert "compact embeddings of 128 numbers" in Path("near.html").read_text("utf-8")
    assert cli.main([*search, "--dim", "4"]) == 0
    assert "compact embeddings of 4 numbers" in capsys.readouterr().out
    for words in (["--dim", "0"], ["--pool", "mean"]):
        assert cli.main([*search, *words]) == 0
        assert "compact" not in capsys.readouterr().out
    words = ["probe", "series-small", "--train", "x.tsv", "--overwrite", "--dim", "16"]
    assert cli.main(words) == 0
    assert "pretrained encoder, dim 16" in capsys.readouterr().out
    assert json.loads(Path("probe.json").read_text())["dim"] == 16
    assert cli.main([*words, "--kind", "attentive"]) == 1
    assert "leave out --dim" in capsys.readouterr().err


def test_the_default_starts_from_series_small_and_an_architecture_from_scratch() -> (
    None
):
    X = random_walks(8, 2, 60)
    near = TemporalJEPAEmbedder(steps=1, lr=1e-6, random_state=0).fit(X)
    general = from_pretrained("series-small")
    assert near.model_.config == general.config
    weights = zip(
        near.model_.state_dict().values(), general.state_dict().values(), strict=True
    )
    assert max(float((a - b).abs().max()) for a, b in weights) < 1e-5
    assert near.transform(X).shape == (8, FEATURES + 2 * 258)
    assert [steps.shape for steps in near.transform_timesteps(X)] == [(60, 64)] * 8
    for options in ({"init_from": "scratch"}, {"embed_dim": 32}):
        assert (
            TemporalJEPAEmbedder(steps=1, **options).fit(X).model_.config.input_dim == 2
        )
    with pytest.raises(
        ValueError, match="brings its own architecture; leave out embed_dim"
    ):
        TemporalJEPAEmbedder(init_from="series-small", embed_dim=32).fit(X)


def test_long_series_video_and_trajectories_start_from_scratch() -> None:
    plain = Sequences.from_arrays(random_walks(2, 1, 40))
    assert start_of(plain).source == "series-small"
    assert start_of(plain, architecture={"embed_dim": 8}).source == "scratch"
    assert start_of(plain, "scratch").source == "scratch"
    assert (
        start_of(Sequences.from_arrays(random_walks(2, 1, 65537))).source == "scratch"
    )
    video = Sequences.from_arrays(np.zeros((2, 4, 8, 8), dtype=np.uint8))
    assert start_of(video).source == "scratch"
    tracks = replace(plain, places=[np.zeros((40, 2))] * 2)
    assert start_of(tracks).source == "scratch"
    assert PretrainConfig().resolved(10).steps == 300
    warm = PretrainConfig().resolved(10, warm=True)
    assert (warm.steps, warm.rate) == (20, PretrainConfig().resolved(10).rate / 10)


def test_a_resumed_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 2, 60))
    config = PretrainConfig(steps=3, save_every=2, device="cpu")
    whole = pretrain(data, tmp_path / "whole", config)
    stored = json.loads((whole / "config.json").read_text())
    assert stored["init_from"] == "series-small"
    assert len(stored["data"]["channels"]) == 2
    broken = pretrain(data, tmp_path / "broken", config)
    drop_checkpoint(broken, 3)
    again = pretrain(data, broken, config, resume=True)
    for name, value in load_file(whole / "model.safetensors").items():
        torch.testing.assert_close(
            load_file(again / "model.safetensors")[name], value, atol=0, rtol=0
        )


def test_a_run_resumes_without_the_model_it_started_from(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 2, 60))
    config = PretrainConfig(steps=2, save_every=1, device="cpu")
    first = tmp_path / "first"
    save_pretrained(from_pretrained("series-small"), first)
    run = pretrain(data, tmp_path / "run", config, init_from=first)
    drop_checkpoint(run, 2)
    shutil.rmtree(first)
    before = load_file(run / "model.safetensors")
    pretrain(data, run, config, resume=True)
    after = load_file(run / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    shutil.rmtree(run / "checkpoint")
    with pytest.raises(FileNotFoundError, match="first"):
        pretrain(data, run, config, resume=True)


def test_a_fitted_embedder_refuses_other_channels(tmp_path: Path) -> None:
    X = random_walks(6, 3, 40)
    fitted = TemporalJEPAEmbedder(steps=1, random_state=0).fit(X)
    fitted.save_pretrained(tmp_path / "saved")
    loaded = TemporalJEPAEmbedder.from_pretrained(tmp_path / "saved")
    assert (
        (loaded.channels_, loaded.n_features_in_)
        == (fitted.channels_, fitted.n_features_in_)
        == (3, 3)
    )
    for embedder in (fitted, loaded):
        for other in (X[:, :2], X[:, 0]):  # a table is one channel
            with pytest.raises(
                ValueError, match=r"expected series of 3 channels, as in fit, got [12]"
            ):
                embedder.transform(other)
    stored = [
        channels_of(read_config(folder))
        for folder in (tmp_path / "saved", BUNDLED / "series-small")
    ]
    assert stored == [3, None]  # of the graph that `export` writes, too
    general = TemporalJEPAEmbedder.from_pretrained("series-small")
    assert general.channels_ is None
    assert not hasattr(general, "n_features_in_")
    table = TemporalJEPAEmbedder(steps=1, random_state=0).fit(X[:, 0])
    with pytest.raises(ValueError, match="39 features"):
        table.transform(X[:, 0, 1:])


def test_series_small_and_scratch_are_not_folders_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scratch").mkdir()
    Path("series-small").mkdir()
    data = Sequences.from_arrays(random_walks(4, 2, 40))
    general = pretrain(data, "a", PretrainConfig(steps=1, device="cpu"))
    own = pretrain(data, "b", PretrainConfig(steps=1, device="cpu"), {"embed_dim": 32})
    starts = [
        json.loads((run / "config.json").read_text())["init_from"]
        for run in (general, own)
    ]
    assert starts == ["series-small", "scratch"]
    # The map before training is of the bundled weights.
    page = write_report(general, sequences=data).read_text("utf-8")
    assert "compact embeddings of 128 numbers" in page
    assert "Control: series-small" in page
    page = write_report(own, sequences=data).read_text("utf-8")
    assert "compact" not in page
    np.save("d.npy", random_walks(4, 2, 40))
    words = ["pretrain", "--data", "d.npy", "--steps", "1", "--device", "cpu", "--out"]
    assert cli.main([*words, "c", "--init-from", "scratch", "--embed-dim", "32"]) == 0
    assert json.loads(Path("c/config.json").read_text())["model"]["embed_dim"] == 32


def test_a_resumed_run_keeps_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("d.npy", random_walks(4, 2, 40))
    first = "pretrain --data d.npy --out r --steps 2 --device cpu"
    assert cli.main(first.split()) == 0
    assert "series-small" in capsys.readouterr().out
    resume = "pretrain --out r --resume"
    assert cli.main(resume.split()) == 0
    assert cli.main([*resume.split(), "--dry-run"]) == 0
    assert "80 timesteps" in capsys.readouterr().out
    assert cli.main([*resume.split(), "--embed-dim", "128"]) != 0
    assert "model.embed_dim was 64 and is 128" in capsys.readouterr().err
    assert cli.main([*resume.split(), "--init-from", "scratch"]) != 0
    assert "series-small" in capsys.readouterr().err


def test_another_architecture_and_other_channels_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("two.npy", random_walks(4, 2, 40))
    np.save("one.npy", random_walks(4, 1, 40))
    pretraining = "pretrain --data two.npy --out r --steps 1 --device cpu"
    own = "--init-from series-small --embed-dim 32"
    assert cli.main([*pretraining.split(), *own.split()]) != 0
    assert re.search("embed.dim", capsys.readouterr().err)
    assert cli.main(pretraining.split()) == 0
    assert cli.main(["embed", "r", "one.npy", "--out", "z.npz"]) == 1
    assert re.search(r"one\.npy .*1 channel.* 2 channels", capsys.readouterr().err)


def test_an_empty_start_is_refused() -> None:
    with pytest.raises(ValueError, match="init_from"):
        start_of(Sequences.from_arrays(random_walks(4, 2, 40)), "")
