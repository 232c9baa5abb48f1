"""Objectives as parts: the contracts of those in the package, and one of a user."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from factories import edit_json, random_walks
from safetensors.torch import load_file, save_file
from small_runs import drop_checkpoint
from torch import Tensor, nn

from temporal_jepa import (
    PretrainConfig,
    Sequences,
    from_pretrained,
    pretrain,
    save_pretrained,
)
from temporal_jepa.cli.pretrain import ObjectiveName
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder
from temporal_jepa.model.jepa import TemporalJEPA, draw_model
from temporal_jepa.model.losses import contrastive_loss
from temporal_jepa.model.objectives import (
    OBJECTIVES as NAMED,
)
from temporal_jepa.model.objectives import (
    Autoencoder,
    MaskedContrast,
    MaskedLatent,
    MaskedValues,
    NextLatent,
    NextValues,
    Objective,
    RegularizerOnly,
    describe,
    stored_objective,
)
from temporal_jepa.model.objectives.values import value_terms, values_of
from temporal_jepa.model.regularizers import SIGReg, VICReg
from temporal_jepa.report.report import write_report
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

SMALL = {"embed_dim": 16, "num_heads": 2, "predictor_embed_dim": 16, "patch_len": 4}
OBJECTIVES = [
    MaskedLatent(),
    MaskedLatent(SIGReg()),
    NextLatent(),
    NextLatent((1,), "across", depth=1),
    NextLatent(negatives="both"),
    MaskedContrast(),
    MaskedContrast("both"),
    MaskedValues(),
    MaskedValues("transformer"),
    NextValues((1, 2)),
    Autoencoder(),
    RegularizerOnly(),
    RegularizerOnly(SIGReg()),
]


def model_of(objective: Objective, **options: object) -> TemporalJEPA:
    settings = {**RECIPE, **objective.recipe, **SMALL, "seq_len": 40, **options}
    return draw_model(TemporalJEPAConfig(input_dim=3, **settings), 0, objective)


def batch(length: int = 40) -> Tensor:
    return torch.randn(6, length, 3, generator=torch.Generator().manual_seed(1))


def loss_of(model: TemporalJEPA, x: Tensor) -> Tensor:
    return model(x, model.draw(x, torch.Generator().manual_seed(2)))["loss"]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_gradients_reach_the_encoder_and_the_objective_only(
    objective: Objective,
) -> None:
    model = model_of(objective)
    terms = model(batch(), model.draw(batch(), torch.Generator().manual_seed(0)))
    assert all(not term.requires_grad for name, term in terms.items() if name != "loss")
    terms["loss"].backward()
    for name, parameter in model.named_parameters():
        is_trained = not name.startswith("target_encoder")
        # Blocks and norms after the last layer that is used have no gradient.
        assert (parameter.grad is None) or is_trained, name
    tokenizer = model.context_encoder.tokenizer
    assert all(bool(p.grad.abs().sum() > 0) for p in tokenizer.parameters())
    trained = [p for p in model.objective.parameters() if p.grad is not None]
    assert len(trained) == len(list(model.objective.parameters()))
    with torch.no_grad():
        next(model.context_encoder.parameters()).add_(1.0)
    if objective.uses_target:
        return
    model.update_target(0.9)  # no EMA target: the weights of the last step
    for ours, theirs in zip(
        model.target_encoder.parameters(),
        model.context_encoder.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_causal_encoder_does_not_see_the_future() -> None:
    encoder = model_of(NextLatent()).context_encoder.eval()
    x = batch()
    changed = x.clone()
    changed[:, 20:] += 5.0
    before, after = (
        encoder.encode(*encoder.prepare(values)).layers for values in (x, changed)
    )
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a[:, :5], b[:, :5])
        assert bool((a[:, 5:] != b[:, 5:]).any())
    bidirectional = model_of(MaskedContrast(), encoder_depth=2).context_encoder.eval()
    a, b = (
        bidirectional.encode(*bidirectional.prepare(v)).layers[-1] for v in (x, changed)
    )
    assert bool((a[:, :5] != b[:, :5]).any())


def test_a_token_sees_its_own_patch_alone() -> None:
    encoder = model_of(NextLatent()).context_encoder.eval()
    x = batch()
    changed = x.clone()
    changed[:, 8:12] += 5.0
    before, after = (
        encoder.tokens(*encoder.prepare(values)) for values in (x, changed)
    )
    is_changed = (before != after).any(-1).any(0)
    assert is_changed.tolist() == [False, False, True, *[False] * 7]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_padding_does_not_change_the_loss(objective: Objective) -> None:
    model = model_of(objective, mask="future").eval()
    x = batch(24)
    padded = torch.cat([x, torch.full((6, 16, 3), float("nan"))], dim=1)
    torch.testing.assert_close(loss_of(model, x), loss_of(model, padded))


@pytest.mark.parametrize("objective", [NextLatent(), NextLatent((1,), depth=1)])
def test_the_order_of_a_batch_does_not_matter(objective: Objective) -> None:
    model = model_of(objective).eval()
    x = batch()
    torch.testing.assert_close(loss_of(model, x), loss_of(model, x.flip(0)))


@pytest.mark.parametrize(
    ("objective", "part"),
    [
        (MaskedLatent(), "predictor"),
        (MaskedContrast(), "predictor"),
        (MaskedValues(), "read"),
        (MaskedValues("transformer"), "read"),
    ],
    ids=repr,
)
def test_masked_values_reach_only_the_targets(objective: Objective, part: str) -> None:
    model = model_of(objective).eval()
    x = batch()
    visible = model.draw(x, torch.Generator().manual_seed(0))
    assert isinstance(visible, Tensor)
    encoder = model.context_encoder
    hidden = ~encoder.grid.unpatchify(visible[0])
    changed = torch.where(hidden, x + 3.0, x)
    seen = []
    predictor = model.objective.get_submodule(part)
    predictor.register_forward_hook(lambda *args: seen.append(args[2]))
    a, b = (model(values, visible)["loss"] for values in (x, changed))
    torch.testing.assert_close(seen[0], seen[1])
    assert not torch.equal(a, b)


def video() -> Sequences:
    frames = np.random.default_rng(0).integers(0, 256, (6, 12, 24, 24), dtype=np.uint8)
    return Sequences.from_arrays(frames)


@pytest.mark.parametrize("objective", [NextLatent(), NextValues()], ids=repr)
def test_video_is_predicted_by_cells(objective: Objective) -> None:
    model = initial_model(video(), 0, objective, num_heads=2, embed_dim=16)
    assert model.config.tokenizer == "tubelet"
    assert model.config.frame == (24, 24, 1)
    assert model.config.cells == (3, 3)
    assert model.config.attention == "causal"
    by_frame = initial_model(video(), 0, objective, tokenizer="patch")
    assert by_frame.config.cells == (1, 1), "the caller decides"
    series = initial_model(pendulum(), 0, objective)
    assert series.config.tokenizer == "patch"


def test_a_token_of_a_video_predicts_its_cell_at_the_next_time() -> None:
    model = initial_model(video(), 0, NextLatent((1,)), num_heads=2, embed_dim=16)
    encoder = model.context_encoder.eval()
    x, observed = encoder.prepare(torch.rand(2, 12, 576))
    seen = []
    for name in ("heads.0", "project"):
        part = model.objective.get_submodule(name)
        part.register_forward_hook(lambda *args: seen.append(args[1][0]))
    model.objective(encoder, x, observed, torch.Generator())
    targets, context = seen
    encoded = encoder.encode(x, observed)
    torch.testing.assert_close(targets, encoded.layers[0])  # (B, 6 * 9, D)
    torch.testing.assert_close(context, encoded.layers[-1][:, :-9])


@pytest.mark.parametrize("negatives", ["within", "across", "both"])
def test_contrastive_loss(negatives: str) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(4, 9, 8, generator=generator)
    found, chance = contrastive_loss(target, target, None, negatives, 0.1, generator)
    lost, _ = contrastive_loss(
        torch.randn(4, 9, 8, generator=generator),
        target,
        None,
        negatives,
        10.0,
        generator,
    )
    assert float(found) < 0.1
    assert float(lost) == pytest.approx(float(chance), rel=0.05)
    valid = torch.ones(4, 9, dtype=torch.bool)
    valid[:, 7:] = False
    cut, _ = contrastive_loss(
        target, target.roll(1, 1), valid, "within", 0.1, generator
    )
    by_hand = torch.stack(
        [
            nn.functional.cross_entropy(
                nn.functional.normalize(a[:7], dim=1)
                @ nn.functional.normalize(b[:7], dim=1).T
                / 0.1,
                torch.arange(7),
            )
            for a, b in zip(target, target.roll(1, 1), strict=True)
        ]
    )
    torch.testing.assert_close(cut, by_hand.mean())


def pendulum(n: int = 64) -> Sequences:
    """A sine of random phase and rate in 8 channels, under noise of 3 times its strength."""
    rng = np.random.default_rng(0)
    phase, rate = rng.uniform(0, 6, (n, 1)), rng.uniform(0.2, 0.4, (n, 1))
    angle = phase + rate * np.arange(48)
    signal = np.stack([np.sin(angle), np.cos(angle)], 1)
    mixed = np.einsum("nst,sc->nct", signal, rng.normal(size=(2, 8)))
    noise = np.einsum(
        "nst,sc->nct", rng.normal(size=(n, 3, 48)), rng.normal(size=(3, 8))
    )
    return Sequences.from_arrays(mixed + 3 * noise)


@pytest.mark.parametrize("objective", [NextLatent((1,)), MaskedContrast()], ids=repr)
def test_something_is_predicted_under_noise(objective: Objective) -> None:
    data = pendulum()
    rows = []
    model = initial_model(data, 0, objective, **SMALL)
    train(model, data, PretrainConfig(steps=150, device="cpu"), on_row=rows.append)
    assert rows[0]["relative_loss"] > 0.95
    assert rows[-1]["relative_loss"] < 0.75


def error_of(model: TemporalJEPA, x: Tensor) -> Tensor:
    encoder = model.context_encoder
    assert isinstance(model.objective, NextLatent)
    return model.objective.error(encoder, *encoder.prepare(x))


@pytest.mark.parametrize(
    "objective", [NextLatent(), NextLatent((1,), depth=1)], ids=repr
)
def test_the_error_of_a_token_is_known_when_it_has_passed(
    objective: NextLatent,
) -> None:
    model = model_of(objective).eval()
    x = batch()
    changed = x.clone()
    changed[:, 20:] += 5.0
    before, after = error_of(model, x), error_of(model, changed)
    assert before.shape == (6, 10)
    assert bool(before[:, 0].isnan().all())  # nothing predicts it
    assert bool(before[:, 1:].isfinite().all())
    torch.testing.assert_close(before[:, 1:5], after[:, 1:5])
    assert bool((before[:, 5:] != after[:, 5:]).all())


def test_the_error_is_one_minus_the_cosine_similarity() -> None:
    model = model_of(NextLatent((1, 3))).eval()
    encoder, objective = model.context_encoder, model.objective
    layers = encoder.encode(*encoder.prepare(batch())).layers
    target = objective.project(layers[0])[:, 5]
    similarities = [
        nn.functional.cosine_similarity(head(layers[-1][:, 5 - horizon]), target, dim=1)
        for horizon, head in zip((1, 3), objective.heads, strict=True)
    ]
    expected = 1 - torch.stack(similarities).mean(0)
    torch.testing.assert_close(error_of(model, batch())[:, 5], expected)


def test_tokens_without_a_value_have_no_error_and_change_no_other() -> None:
    model = model_of(NextLatent((1,))).eval()
    x = batch()
    cut = x.clone()
    cut[:, 24:28] = float("nan")
    error = error_of(model, torch.cat([cut, torch.full((6, 8, 3), float("nan"))], 1))
    missing = error.isnan().all(0)
    # Token 6 is missing, so that nothing predicts token 7; 10 and 11 are padding.
    assert missing.nonzero().flatten().tolist() == [0, 6, 7, 10, 11]
    torch.testing.assert_close(error[:, 1:6], error_of(model, x)[:, 1:6])
    assert bool(error_of(model, x[:, :4]).isnan().all())


def test_a_jump_of_the_state_has_a_high_error() -> None:
    values = np.stack(pendulum(400).values)  # (n, T, C)
    data = Sequences([*values[:300]])
    model = initial_model(data, 0, NextLatent((1,)), **SMALL)
    train(model, data, PretrainConfig(steps=150, device="cpu"))
    joined = values[300:350].copy()
    joined[:, 24:] = values[350:, 24:]  # another phase and rate from token 6
    x = torch.from_numpy(joined.astype(np.float32))
    error = error_of(model, x)[:, 4:9].mean(0)
    assert error.argmax() == 2
    others = error[[0, 1, 3, 4]]
    assert float(error[2]) > float(others.max()) + 2 * float(others.std())


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        (NextLatent(), {"attention": "bidirectional"}, 'needs attention="causal"'),
        (NextLatent(), {"tokenizer": "conv"}, "see their own patch alone"),
        (MaskedContrast(), {"normalize": "instance"}, "see their own patch alone"),
    ],
)
def test_an_architecture_that_leaks_is_refused(
    objective: Objective, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(objective, **options)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="horizons must be whole numbers from 1"):
        NextLatent((2, 4))
    with pytest.raises(ValueError, match="negatives must be one of within, across"):
        MaskedContrast("inside")
    with pytest.raises(
        ValueError, match="objective must be one of masked, next, contrast"
    ):
        TemporalJEPAEmbedder(objective="cpc").fit(random_walks())
    with pytest.raises(ValueError, match="an objective needs random weights"):
        TemporalJEPAEmbedder(objective="next", init_from="series-small").fit(
            random_walks()
        )
    wrong = MaskedContrast(mask=lambda observed, generator, grid: observed.float())
    model = model_of(wrong)
    with pytest.raises(ValueError, match="a mask must return bool"):
        model.draw(batch(), torch.Generator())


class Plain(Objective):
    """Without a constructor."""

    def setup(self, config: TemporalJEPAConfig) -> None:
        self.decode = nn.Linear(config.embed_dim, 1)

    def forward(
        self, encoder: nn.Module, x: Tensor, observed: Tensor, drawn: torch.Generator
    ) -> dict[str, Tensor]:
        tokens, _ = encoder.encode(x, observed).on_grid()
        return {"loss": self.decode(tokens).square().mean()}


class Unstored(Plain):
    def __init__(self, weight: float):
        super().__init__()


class Nameless(Plain):
    def forward(self, *batch: object) -> dict[str, Tensor]:
        return {"error": super().forward(*batch)["loss"]}


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Unstored(1.0), "Unstored must store its argument 'weight'"),
        (Nameless(), 'must return a dict with "loss" among its terms, got error'),
    ],
)
def test_a_mistake_in_an_objective_is_named(objective: Objective, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemporalJEPAEmbedder(objective=objective, steps=1).fit(random_walks(8, 3, 40))


@pytest.mark.parametrize("name", ["next", "contrast"])
def test_series_of_too_few_tokens_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="longest training window has 40 timesteps"):
        TemporalJEPAEmbedder(objective=name, patch_len=16, steps=1).fit(
            random_walks(8, 3, 40)
        )


def a_mask(observed: Tensor, generator: torch.Generator, grid: tuple) -> Tensor:
    visible = torch.rand(observed.shape, generator=generator) < 0.5
    visible[:, 0] = True
    return visible


def test_a_mask_of_a_user_is_stored_by_its_name(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    config = PretrainConfig(steps=4, save_every=2)
    run = pretrain(data, tmp_path, config, SMALL, objective=MaskedContrast(mask=a_mask))
    stored = json.loads((run / "config.json").read_text())["objective"]
    assert stored["mask"] == "a_mask"
    pretrain(data, run, config, resume=True, objective=MaskedContrast(mask=a_mask))
    assert from_pretrained(run).objective is None


@pytest.mark.parametrize("stored", ["x", [1], {"name": "next", "speed": 1}])
def test_a_damaged_objective_is_named(stored: object, tmp_path: Path) -> None:
    model = model_of(NextLatent())
    file = save_pretrained(model, tmp_path) / "config.json"
    edit_json(file, lambda config: config.update(objective=stored))
    with pytest.raises(ValueError, match=r'"objective"'):
        from_pretrained(tmp_path)


def test_a_run_without_relative_loss_has_a_report(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    run = pretrain(data, tmp_path, PretrainConfig(steps=2), SMALL, objective=Plain())
    page = write_report(run, sequences=data).read_text("utf-8")
    assert "Error of predictions" not in page
    assert "<h3>Pretrain</h3>" not in page  # no flag names it
    with pytest.raises(ValueError, match="loaded without its objective"):
        TemporalJEPAEmbedder.from_pretrained(run).adapt(random_walks(8, 3, 40), steps=1)


@pytest.mark.parametrize(
    ("objective", "flag"), [("next", True), (NextLatent((1,)), False)]
)
def test_a_report_repeats_the_objective(
    objective: Objective | str, flag: bool, tmp_path: Path
) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    config = PretrainConfig(steps=2)
    run = pretrain(data, tmp_path, config, SMALL, objective=objective)
    page = write_report(run, sequences=data).read_text("utf-8")
    assert ("--objective=next" in page) == flag
    assert ("<h3>Pretrain</h3>" in page) == flag
    assert "Loss divided by the loss of guessing" in page
    assert "covariance loss" not in page


@pytest.mark.parametrize("name", ["next", "contrast"])
def test_a_run_is_stored_loaded_and_resumed(name: str, tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    config = PretrainConfig(steps=6, save_every=3)
    model = {**SMALL}
    whole = pretrain(data, tmp_path / "whole", config, model, objective=name)
    cut = pretrain(data, tmp_path / "cut", config, model, objective=name)
    stored = json.loads((cut / "config.json").read_text())
    assert stored["objective"]["name"] == name
    drop_checkpoint(cut, 6)
    pretrain(data, cut, config, resume=True)
    a, b = (embed_sequences(from_pretrained(run), data) for run in (whole, cut))
    np.testing.assert_array_equal(a, b)
    other = "contrast" if name == "next" else "next"
    with pytest.raises(ValueError, match="keeps its objective"):
        pretrain(data, cut, config, resume=True, objective=other)


class Denoise(Objective):
    """Of a user: the patch without the noise that was added."""

    def __init__(self, noise: float = 0.5):
        super().__init__()
        self.noise = noise

    def setup(self, config: TemporalJEPAConfig) -> None:
        self.decode = nn.Linear(config.embed_dim, config.patch * config.input_dim)

    def forward(
        self,
        encoder: nn.Module,
        x: Tensor,
        observed: Tensor,
        drawn: torch.Generator,
    ) -> dict[str, Tensor]:
        noisy = x + self.noise * torch.randn(x.shape, generator=drawn)
        tokens, _ = encoder.encode(noisy, observed).on_grid()
        wanted = encoder.grid.patchify(encoder.normalizer(x, observed))
        return {"loss": (self.decode(tokens) - wanted).square().mean()}


def test_an_objective_of_a_user_trains_resumes_and_embeds(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    config = PretrainConfig(steps=4, save_every=2)
    run = pretrain(data, tmp_path / "run", config, SMALL, objective=Denoise())
    model = from_pretrained(run)  # without the objective, which is not of the package
    assert model.objective is None
    assert embed_sequences(model, data).shape[0] == 8
    pretrain(data, run, config, resume=True, objective=Denoise())
    with pytest.raises(ValueError, match="keeps its objective"):
        pretrain(data, run, config, resume=True)
    trained = TemporalJEPAEmbedder(objective=Denoise(0.1), steps=2, **SMALL_ESTIMATOR)
    assert trained.fit_transform(random_walks(8, 3, 40)).shape[0] == 8


SMALL_ESTIMATOR = {"embed_dim": 16, "num_heads": 2, "patch_len": 4, "random_state": 0}


def test_every_name_is_a_choice_of_the_command_line() -> None:
    assert set(get_args(ObjectiveName)) == set(NAMED)
    for name, kind in NAMED.items():
        model = model_of(kind())
        assert describe(model.objective)["name"] == name
        stored = json.loads(json.dumps({"objective": describe(model.objective)}))
        assert repr(stored_objective(stored)) == repr(kind())


def test_a_regularizer_is_stored_with_its_settings(tmp_path: Path) -> None:
    model = model_of(MaskedLatent(SIGReg(0.5)))
    loaded = from_pretrained(save_pretrained(model, tmp_path))
    assert (
        repr(loaded.objective)
        == "MaskedLatent(regularizer=SIGReg(weight=0.5), mask=None)"
    )
    ours, theirs = (m.objective.regularizer.directions for m in (model, loaded))
    torch.testing.assert_close(ours, theirs)
    terms = loaded(batch(), loaded.draw(batch(), torch.Generator().manual_seed(0)))
    assert "sigreg_loss" in terms


def test_the_weights_of_the_configuration_are_those_of_vicreg() -> None:
    configured = model_of(MaskedLatent(), variance_weight=0.3, covariance_weight=0.1)
    given = model_of(MaskedLatent(VICReg(0.3, 0.1)), variance_weight=0.0)
    losses = [loss_of(model.eval(), batch()) for model in (configured, given)]
    torch.testing.assert_close(*losses)


def test_values_are_predicted_from_the_past_alone() -> None:
    model = model_of(NextValues((1,))).eval()
    x = batch()
    seen = []
    model.objective.heads[0].register_forward_hook(lambda *args: seen.append(args[2]))
    changed = x.clone()
    changed[:, 20:] += 5
    for values in (x, changed):
        model(values, torch.Generator())
    torch.testing.assert_close(seen[0][:, :5], seen[1][:, :5])
    assert not torch.equal(seen[0][:, 5:], seen[1][:, 5:])


def test_missing_values_are_not_reconstructed() -> None:
    model = model_of(Autoencoder()).eval()
    x = batch()
    x[:, 3:6, 1] = torch.nan
    assert bool(loss_of(model, x).isfinite())
    wanted, counted = values_of(
        model.context_encoder, *model.context_encoder.prepare(x)
    )
    assert int((~counted).sum()) == 6 * 3
    perfect = value_terms(wanted, wanted, counted)
    assert float(perfect["loss"]) == 0
    mean = (wanted * counted).sum() / counted.sum()
    guessing = value_terms(mean.expand_as(wanted), wanted, counted)
    assert float(guessing["relative_loss"]) == pytest.approx(1.0)


def test_a_run_of_version_0_2_is_loaded(tmp_path: Path) -> None:
    """Its predictor was no part of an objective."""
    model = model_of(MaskedLatent())
    save_pretrained(model, tmp_path)
    file = tmp_path / "config.json"
    edit_json(file, lambda config: [config.pop("objective"), config.pop("modules")])
    weights = load_file(tmp_path / "model.safetensors")
    old = {name.removeprefix("objective."): value for name, value in weights.items()}
    assert "predictor.mask_token" in old
    save_file(old, tmp_path / "model.safetensors")
    loaded = from_pretrained(tmp_path)
    torch.testing.assert_close(loaded.predictor.mask_token, model.predictor.mask_token)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("observed", [3, 8, 40])
def test_a_batch_of_short_sequences_is_harmless(
    objective: Objective, observed: int
) -> None:
    """Of one token, of two, and of one in a longer batch: nothing may be NaN."""
    model = model_of(objective)
    x = batch(observed)
    if observed == 40:
        x[:, 4:] = torch.nan
    terms = model(x, model.draw(x, torch.Generator().manual_seed(0)))
    assert all(bool(term.isfinite()) for term in terms.values())
    terms["loss"].backward()
    trained = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in trained)


def test_horizons_that_do_not_fit_do_not_count() -> None:
    near, far = (model_of(NextLatent(horizons)).eval() for horizons in ((1,), (1, 30)))
    far.objective.heads[0].load_state_dict(near.objective.heads[0].state_dict())
    far.objective.project.load_state_dict(near.objective.project.state_dict())
    torch.testing.assert_close(loss_of(near, batch()), loss_of(far, batch()))


@pytest.mark.parametrize("name", ["autoencoder", "regularizer", "next-values", "next"])
def test_a_video_keeps_its_tokens(name: str) -> None:
    model = initial_model(video(), 0, name, num_heads=2, embed_dim=16)
    assert model.config.tokenizer == "tubelet"
