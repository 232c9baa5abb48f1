"""An encoder of any series: channels by themselves, several lengths, quantiles, and the one that is bundled."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synthetic_series import synthetic_pairs

from temporal_jepa import Sequences, TemporalJEPAEmbedder, from_pretrained, pretrain
from temporal_jepa.checkpoint import save_pretrained
from temporal_jepa.cli import main as cli
from temporal_jepa.config import RECIPE, PretrainConfig, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences, embed_timesteps, embed_tokens
from temporal_jepa.estimators import classifier as finetuning
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier
from temporal_jepa.files import BUNDLED, channels_of, read_config
from temporal_jepa.model.encoder import QUANTILES, pool_tokens
from temporal_jepa.model.export import export
from temporal_jepa.model.jepa import TemporalJEPA, random_init_like
from temporal_jepa.report.report import write_report
from temporal_jepa.training.initial import start_of

SMALL = {
    **RECIPE,
    "tokenizer": "dilated",
    "normalize": "instance",
    "embed_dim": 16,
    "num_heads": 2,
    "predictor_embed_dim": 16,
    "patch_len": 8,
}
FEATURES = 2 * 3 * 5 * 16  # views x layers x quantiles x width


@pytest.fixture(scope="module")
def model() -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(TemporalJEPAConfig(input_dim=1, resolutions=(32, 64), **SMALL)).eval()


def series(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32).cumsum(-1)


def test_channels_are_embedded_by_themselves_and_added_with_signs(model: TemporalJEPA) -> None:
    X = series(4, 2, 50)
    both, first, second = (
        embed_sequences(model, Sequences.from_arrays(x)) for x in (X, X[:, :1], X[:, 1:])
    )
    assert both.shape == (4, FEATURES + 2 * 258)
    plus, minus = (first[:, :FEATURES] + s * second[:, :FEATURES] for s in (1, -1))
    apart = [np.abs(np.abs(both[:, :FEATURES]) - np.abs(sum_)) for sum_ in (plus, minus)]
    assert np.minimum(*apart).max() < 1e-4
    assert min(part.max() for part in apart) > 0.1  # both signs occur


def test_level_and_scale_are_in_the_values_only(model: TemporalJEPA) -> None:
    X = series(3, 1, 70)
    Z, scaled = (embed_sequences(model, Sequences.from_arrays(x)) for x in (X, X * 1e-4 + 3))
    np.testing.assert_allclose(
        Z[:, :FEATURES], scaled[:, :FEATURES], atol=0.02
    )  # float32 holds 3 + 1e-4 x to 4 digits
    np.testing.assert_allclose(scaled[:, FEATURES:-2], 3 + 1e-4 * Z[:, FEATURES:-2], rtol=1e-5)
    np.testing.assert_allclose(Z[:, [FEATURES, FEATURES + 255]], X[:, 0, [0, -1]], rtol=1e-5)
    np.testing.assert_allclose(Z[:, -2:], np.stack([X[:, 0].mean(1), X[:, 0].std(1)], 1), atol=5e-3)


def test_standardised_series_have_one_level_and_scale(model: TemporalJEPA) -> None:
    """Their rounding errors would otherwise be features: of Symbols' test rows, hundreds of deviations from train's."""
    X = series(6, 1, 80)
    X = (X - X.mean(2, keepdims=True)) / X.std(2, keepdims=True) * (
        1 + 1e-6 * np.arange(6)[:, None, None]
    ) + 1e-6
    Z = embed_sequences(model, Sequences.from_arrays(X))
    np.testing.assert_array_equal(Z[:, -2:], np.tile(np.float32([0, 1]), (6, 1)))


def test_a_hundred_channels_do_not_make_a_hundred_times_the_features(model: TemporalJEPA) -> None:
    Z = embed_sequences(model, Sequences.from_arrays(series(2, 100, 30)))
    assert Z.shape == (2, FEATURES + 100 * (20 + 2))


def test_lengths_ends_and_gaps(model: TemporalJEPA) -> None:
    x = series(2, 9)
    padded = np.pad(x, ((0, 0), (3, 5)), constant_values=np.nan)
    Z = embed_sequences(model, Sequences.from_arrays([x, padded, series(2, 300)]))
    np.testing.assert_allclose(Z[0], Z[1], atol=1e-5)
    line = np.linspace(0, 1, 40, dtype=np.float32)[None]
    holed = line.copy()
    holed[:, 10:20] = np.nan
    Z = embed_sequences(model, Sequences.from_arrays([line, holed]))
    np.testing.assert_allclose(Z[0], Z[1], atol=1e-3)
    absent = np.stack([x[0], np.full(9, np.nan)])
    assert np.isfinite(embed_sequences(model, Sequences.from_arrays([absent, x]))).all()
    assert np.isfinite(embed_sequences(model, Sequences.from_arrays([x[:, :1], x[:, :2]]))).all()


@pytest.mark.parametrize(("value", "message"), [(np.inf, "infinite"), (np.nan, "all missing")])
def test_what_cannot_be_embedded_is_said(model: TemporalJEPA, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_sequences(model, Sequences([np.full((20, 1), value, dtype=np.float32)]))


def test_quantiles_of_the_real_tokens(model: TemporalJEPA) -> None:
    x = torch.from_numpy(series(2, 48, 1))
    x[1, 24:] = torch.nan  # three of six tokens
    encoded = model.target_encoder.encode(*model.target_encoder.prepare(x))
    pooled = pool_tokens(encoded, "quantiles")
    assert pooled.shape == (2, 3 * 5 * 16)
    for row, count in ((0, 6), (1, 3)):
        wanted = torch.quantile(
            encoded.layers[0][row, :count], torch.tensor(QUANTILES), dim=0
        ).flatten()
        torch.testing.assert_close(pooled[row, : 5 * 16], wanted)


def test_views_need_a_model_of_one_channel() -> None:
    with pytest.raises(ValueError, match="views must be empty unless input_dim is 1"):
        TemporalJEPAConfig(input_dim=2, resolutions=(32,), **SMALL)


@pytest.fixture(scope="module")
def small() -> TemporalJEPAEmbedder:
    return TemporalJEPAEmbedder.from_pretrained("series-small")


def test_series_small_takes_any_series_and_rows_do_not_depend_on_each_other(
    small: TemporalJEPAEmbedder,
) -> None:
    X = [series(2, 40), series(2, 7), series(2, 700)]
    Z = small.transform(X)
    assert Z.shape == (3, small.transform(series(1, 90)).shape[1] + 258)
    np.testing.assert_array_equal(small.transform(X[1:]), Z[1:])
    assert sum(path.stat().st_size for path in (BUNDLED / "series-small").iterdir()) < 8_000_000


def test_series_small_under_a_classifier_and_as_a_table() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3, 40))
    y = np.arange(20) % 2
    X[y == 1, 0] += np.sin(np.arange(40)) * 3
    classifier = TemporalJEPAClassifier(base="series-small", random_state=0).fit(X, y)
    assert classifier.steps_ == 0  # the ridge model on frozen features was as good
    assert classifier.score(X, y) == 1
    with pytest.raises(ValueError, match="expected series of 3 channels"):
        classifier.predict(X[:, :1])
    table = (
        TemporalJEPAEmbedder.from_pretrained("series-small")
        .set_output(transform="pandas")
        .transform(X)
    )
    assert table.shape == (20, 5760 + 3 * 258)


def test_series_small_finds_series_of_one_process_where_its_random_init_like_does_not() -> None:
    trained = from_pretrained("series-small")
    pairs = synthetic_pairs(48, seed=2**31)
    shares = []
    for model in (trained, random_init_like(trained, 0)):
        Z = embed_sequences(model, Sequences.from_arrays(pairs.reshape(-1, 1, 512)))
        Z = (Z - Z.mean(0)) / (Z.std(0) + 1e-6)
        distance = np.linalg.norm(Z[::2, None] - Z[None, 1::2], axis=-1)
        shares.append((distance.argmin(1) == np.arange(48)).mean())
    assert shares[0] > shares[1] + 0.05


def test_adapt_goes_on_from_the_weights_that_are_there(small: TemporalJEPAEmbedder) -> None:
    X = series(6, 2, 60)
    before = small.model_
    adapted = TemporalJEPAEmbedder.from_pretrained("series-small").adapt(X, steps=2)
    assert adapted.transform(X).shape == small.transform(X).shape
    with torch.no_grad():
        pairs = zip(adapted.model_.parameters(), before.parameters(), strict=True)
        change = [float((a - b).abs().max()) for a, b in pairs]
    assert 0 < max(change) < 0.01


def test_a_model_that_is_nowhere_is_said_with_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="series-small"):
        from_pretrained(tmp_path / "series-large")


def test_the_command_line_embeds_a_file_with_series_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", series(3, 2, 20))
    assert cli.main(["embed", "series-small", "data.npy"]) == 0
    assert np.load("embeddings.npz")["embeddings"].shape == (3, 5760 + 2 * 258)


def test_the_command_line_knows_the_bundled_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = [np.sin(np.arange(40) * (1 + k % 2) / 3) + rng.normal(0, 0.1, 40) for k in range(16)]
    rows = [f"{k % 2}\t" + "\t".join(f"{v:.3f}" for v in x) for k, x in enumerate(X)]
    Path("x.tsv").write_text("\n".join(rows) + "\n")
    assert cli.main(["probe", "series-small", "--train", "x.tsv"]) == 0
    assert cli.main(["nearest", "series-small", "x.tsv", "--among", "x.tsv"]) == 0
    assert "nearest of 16 sequences" in capsys.readouterr().out
    assert Path("probe.json").is_file()


def test_the_model_embeds_any_channels_itself(model: TemporalJEPA) -> None:
    x = torch.from_numpy(series(3, 50, 2))
    x[0, 30:] = torch.nan  # padding
    wanted = embed_sequences(model, Sequences([x[0, :30].numpy(), *x[1:].numpy()]))
    np.testing.assert_array_equal(model.embed(x).numpy(), wanted)


def test_timesteps_are_tokens_of_the_longest_view_linear_in_between(model: TemporalJEPA) -> None:
    x = series(2, 64).T.copy()
    padded = np.pad(x, ((5, 3), (0, 0)), constant_values=np.nan)
    tokens, seen = embed_tokens(model, Sequences([x]))
    assert tokens.shape == (1, 8, 16)
    assert seen.all()
    steps, later = embed_timesteps(model, Sequences([x, padded]))
    assert steps.shape == (64, 16)
    np.testing.assert_allclose(later[5:-3], steps, atol=1e-5)
    assert np.isnan(later[:5]).all()
    assert np.isnan(later[-3:]).all()
    np.testing.assert_allclose(
        steps[3], tokens[0, 0], atol=1e-5
    )  # before the middle of the first patch, 3.5
    np.testing.assert_allclose(
        steps[11], tokens[0, 0] / 16 + tokens[0, 1] * 15 / 16, atol=1e-5
    )  # the second's: 11.5
    one = embed_timesteps(model, Sequences([x[:1]]))[0]
    assert one.shape == (1, 16)
    assert np.isfinite(one).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_an_exported_graph_gives_the_same_embedding(
    model: TemporalJEPA, tmp_path: Path, format: str
) -> None:
    path = export(model, tmp_path / "model", format, channels=2)  # type: ignore[arg-type]
    for shape in ((3, 50, 2), (1, 7, 2), (2, 333, 2)):
        x = series(*shape) * 40 + 1000
        x[0, :, 1] = 4.5  # constant
        if format == "torch":
            found = torch.export.load(path).module()(torch.from_numpy(x)).numpy()
        else:
            found = pytest.importorskip("onnxruntime").InferenceSession(path).run(None, {"x": x})[0]
        wanted = model.embed(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(
            found, wanted, atol=2e-2, rtol=1e-3
        )  # float32 holds 1000 + x to four digits


def test_the_default_starts_from_series_small_and_settings_from_scratch() -> None:
    X = series(8, 2, 60)
    near = TemporalJEPAEmbedder(steps=1, lr=1e-6, random_state=0).fit(X)
    general = from_pretrained("series-small")
    assert near.model_.config == general.config
    weights = zip(near.model_.state_dict().values(), general.state_dict().values(), strict=True)
    assert max(float((a - b).abs().max()) for a, b in weights) < 1e-5
    assert near.transform(X).shape == (8, 5760 + 2 * 258)
    assert [steps.shape for steps in near.transform_timesteps(X)] == [(60, 128)] * 8
    for options in ({"init_from": "scratch"}, {"embed_dim": 64}):
        assert TemporalJEPAEmbedder(steps=1, **options).fit(X).model_.config.input_dim == 2
    with pytest.raises(ValueError, match="brings its own architecture; leave out embed_dim"):
        TemporalJEPAEmbedder(init_from="series-small", embed_dim=32).fit(X)


def test_what_series_small_does_not_suit_starts_from_scratch() -> None:
    plain = Sequences.from_arrays(series(2, 1, 40))
    assert start_of(plain).source == "series-small"
    assert start_of(plain, architecture={"embed_dim": 8}).source == "scratch"
    assert start_of(plain, "scratch").source == "scratch"
    assert start_of(Sequences.from_arrays(series(2, 1, 2049))).source == "scratch"
    video = Sequences.from_arrays(np.zeros((2, 4, 8, 8), dtype=np.uint8))
    assert start_of(video).source == "scratch"
    tracks = replace(plain, places=[np.zeros((40, 2))] * 2)
    assert start_of(tracks).source == "scratch"
    assert PretrainConfig().resolved(10).steps == 300
    warm = PretrainConfig().resolved(10, warm=True)
    assert (warm.steps, warm.rate) == (100, PretrainConfig().resolved(10).rate / 10)


def test_a_run_goes_on_from_its_start_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    data = Sequences.from_arrays(series(8, 2, 60))
    config = PretrainConfig(steps=3, save_every=2, device="cpu")
    whole = pretrain(data, tmp_path / "whole", config)
    stored = json.loads((whole / "config.json").read_text())
    assert stored["init_from"] == "series-small"
    assert len(stored["data"]["channels"]) == 2
    broken = pretrain(data, tmp_path / "broken", config)
    (broken / "checkpoint" / "step-00000003.pt").unlink()
    again = pretrain(data, broken, config, resume=True)
    for name, value in load_file(whole / "model.safetensors").items():
        torch.testing.assert_close(
            load_file(again / "model.safetensors")[name], value, atol=0, rtol=0
        )


def test_a_run_resumes_when_what_it_started_from_is_gone(tmp_path: Path) -> None:
    data = Sequences.from_arrays(series(8, 2, 60))
    config = PretrainConfig(steps=2, save_every=1, device="cpu")
    first = tmp_path / "first"
    save_pretrained(from_pretrained("series-small"), first)
    run = pretrain(data, tmp_path / "run", config, init_from=first)
    (run / "checkpoint" / "step-00000002.pt").unlink()
    shutil.rmtree(first)
    before = load_file(run / "model.safetensors")
    pretrain(data, run, config, resume=True)
    after = load_file(run / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    shutil.rmtree(run / "checkpoint")
    with pytest.raises(FileNotFoundError, match="first"):
        pretrain(data, run, config, resume=True)


def test_fine_tuning_sees_what_embedding_gives_and_changes_the_encoder(
    model: TemporalJEPA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "draw_visible", lambda seen, *rest: seen)  # nothing hidden
    data = Sequences.from_arrays(series(6, 2, 50))
    features = finetuning._views(model, data, "all", torch.Generator())
    np.testing.assert_allclose(
        features(np.arange(6)).numpy(), embed_sequences(model, data), atol=1e-4
    )
    monkeypatch.undo()
    X = series(16, 2, 40)
    y = np.arange(16) % 2
    X[y == 1] *= -1
    base = TemporalJEPAEmbedder(steps=1, random_state=0).fit(X)
    tuned = TemporalJEPAClassifier(base, steps=2, random_state=0)
    monkeypatch.setattr(finetuning, "_held_out", lambda *rest: None)
    assert tuned.fit(X, y).steps_ == 0
    model = tuned.embedder_.model_
    for _ in finetuning._tune(model, tuned.embedder_.sequences(X), y, [2], tuned, 0):
        pass
    pairs = zip(
        model.target_encoder.parameters(), base.model_.target_encoder.parameters(), strict=True
    )
    assert max(float((a - b).detach().abs().max()) for a, b in pairs) > 1e-5


@pytest.mark.filterwarnings("ignore")
def test_an_exported_graph_keeps_constants_and_small_shapes_on_large_levels(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    session = pytest.importorskip("onnxruntime").InferenceSession(
        export(model, tmp_path / "m.onnx", channels=3)
    )
    x = series(2, 50, 3)
    x[:, :, 0] = 3.3
    x[:, :, 1] = 1e3 + 1e-3 * x[:, :, 1]
    x[:, :, 2] *= 1e-20
    found = session.run(None, {"x": x})[0]
    wanted = model.embed(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)


def test_tokens_and_timesteps_of_a_tensor_are_those_of_sequences(model: TemporalJEPA) -> None:
    x = series(3, 40, 2)
    x[0, 30:] = np.nan
    data = Sequences([x[0, :30], *x[1:]])
    tokens, seen = model.embed_tokens(torch.from_numpy(x))
    np.testing.assert_array_equal(tokens.numpy(), embed_tokens(model, data)[0])
    assert bool(seen.all())
    steps = model.embed_timesteps(torch.from_numpy(x))
    assert steps.shape == (3, 40, 16)
    np.testing.assert_array_equal(steps[0, :30].numpy(), embed_timesteps(model, data)[0])
    for bad in (torch.zeros(4, 3), torch.zeros(0, 4, 3)):
        with pytest.raises(
            ValueError, match=r"x must be \(batch, seq_len, channels\) with at least one sequence"
        ):
            model.embed(bad)
    assert model.embed(torch.from_numpy(x).bfloat16()).dtype == torch.float32


def test_a_fitted_embedder_keeps_to_its_channels(tmp_path: Path) -> None:
    X = series(6, 3, 40)
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


def test_names_of_starts_win_over_folders_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scratch").mkdir()
    Path("series-small").mkdir()
    data = Sequences.from_arrays(series(4, 2, 40))
    general = pretrain(data, "a", PretrainConfig(steps=1, device="cpu"))
    own = pretrain(data, "b", PretrainConfig(steps=1, device="cpu"), {"embed_dim": 32})
    starts = [json.loads((run / "config.json").read_text())["init_from"] for run in (general, own)]
    assert starts == ["series-small", "scratch"]
    assert write_report(general).is_file()  # the map before training is of the bundled weights
    np.save("d.npy", series(4, 2, 40))
    words = ["pretrain", "--data", "d.npy", "--steps", "1", "--device", "cpu", "--out"]
    assert cli.main([*words, "c", "--init-from", "scratch", "--embed-dim", "32"]) == 0
    assert json.loads(Path("c/config.json").read_text())["model"]["embed_dim"] == 32


def test_a_resumed_run_refuses_another_architecture_and_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("d.npy", series(4, 2, 40))
    assert (
        cli.main(["pretrain", "--data", "d.npy", "--out", "r", "--steps", "2", "--device", "cpu"])
        == 0
    )
    assert "starts from series-small; --init-from scratch" in capsys.readouterr().out
    assert cli.main(["pretrain", "--out", "r", "--resume"]) == 0
    assert cli.main(["pretrain", "--out", "r", "--resume", "--dry-run"]) == 0
    assert "32 a sequence of 256 timesteps" in capsys.readouterr().out
    for words, message in (
        (["--embed-dim", "64"], "model.embed_dim was 128 and is 64"),
        (["--init-from", "scratch"], "keeps its start, series-small"),
    ):
        assert cli.main(["pretrain", "--out", "r", "--resume", *words]) != 0
        assert message in capsys.readouterr().err
    words = [
        "pretrain",
        "--data",
        "d.npy",
        "--out",
        "s",
        "--init-from",
        "series-small",
        "--embed-dim",
        "32",
    ]
    assert cli.main(words) == 2
    assert "--init-from brings its own embed_dim; leave out --embed-dim" in capsys.readouterr().err
    np.save("one.npy", series(4, 1, 40))
    assert cli.main(["embed", "r", "one.npy", "--out", "z.npz"]) == 1
    assert "one.npy has 1 channel, the run was trained on 2 channels" in capsys.readouterr().err
    with pytest.raises(ValueError, match="init_from is empty"):
        start_of(Sequences.from_arrays(series(4, 2, 40)), "")
