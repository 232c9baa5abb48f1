"""Training and embedding on a GPU; skipped where there is none, as in CI."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY, random_walks
from small_runs import SHORT, walks

from temporal_jepa import (
    Sequences,
    StopTraining,
    TemporalJEPAEmbedder,
    from_pretrained,
    pretrain,
)
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.anomaly import AnomalyDetector
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier
from temporal_jepa.model.export import export
from temporal_jepa.model.modules import Modules
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.metrics import read_rows
from temporal_jepa.training.trainer import train

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU for CUDA"),
    pytest.mark.filterwarnings("ignore"),  # of torch, of its own parts
]
ON_GPU = replace(SHORT, device="cuda")
FULL = replace(ON_GPU, precision="fp32")


def tracks() -> Sequences:
    rng = np.random.default_rng(0)
    steps = [rng.normal(size=(30, 2)) for _ in range(8)]
    places = [x.cumsum(axis=0) for x in steps]
    return Sequences(steps, channels=["dx", "dy"], places=places)


def films() -> Sequences:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 16, 16, 3), np.uint8)
    return Sequences.from_arrays(pixels)


DATA = {
    "series": walks,
    "tracks": tracks,
    "films": films,
}


def losses(run: Path) -> np.ndarray:
    return np.array([row["loss"] for row in read_rows(run)])


def test_the_device_is_taken_unless_another_is_named() -> None:
    model = train(initial_model(walks(), **TINY), walks(), replace(SHORT, steps=2))
    assert next(model.parameters()).is_cuda


@pytest.mark.parametrize(
    ("kind", "compile"),
    [("series", False), ("tracks", False), ("films", False), ("series", True)],
)
def test_a_run_trains_and_its_model_is_that_of_the_cpu(
    tmp_path: Path, kind: str, compile: bool
) -> None:
    data = DATA[kind]()
    run = pretrain(
        data,
        tmp_path / "run",
        replace(ON_GPU, compile=compile),
        TINY,
        init_from="scratch",
    )
    assert np.isfinite(losses(run)).all()
    on_gpu = embed_sequences(from_pretrained(run, "cuda"), data)
    on_cpu = embed_sequences(from_pretrained(run, "cpu"), data)
    assert np.isfinite(on_cpu).all()
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-3)


def test_in_full_precision_the_losses_are_those_of_the_cpu(tmp_path: Path) -> None:
    architecture = {**TINY, "dropout": 0.0}
    runs = [
        pretrain(walks(), tmp_path / c.device, c, architecture, init_from="scratch")
        for c in (FULL, replace(FULL, device="cpu"))
    ]
    np.testing.assert_allclose(losses(runs[0]), losses(runs[1]), rtol=1e-3)


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    architecture = {**TINY, "dropout": 0.0}
    whole = pretrain(walks(), tmp_path / "whole", FULL, architecture)

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 7:
            raise StopTraining

    parts = tmp_path / "parts"
    pretrain(walks(), parts, FULL, architecture, on_step=stop)
    pretrain(walks(), parts, FULL, architecture, resume=True)
    np.testing.assert_allclose(losses(parts), losses(whole), rtol=1e-3)


class Convolutions(torch.nn.Module):
    """An encoder of one's own."""

    def __init__(self, config: Any):
        super().__init__()
        self.layer = torch.nn.Conv1d(config.embed_dim, config.embed_dim, 3, padding=1)
        self.norm = torch.nn.LayerNorm(config.embed_dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.norm(tokens + self.layer(tokens.mT).mT)


def test_an_encoder_of_ones_own_has_the_same_gradients_compiled() -> None:
    model = initial_model(
        walks(), **{**TINY, "dropout": 0.0}, modules=Modules(encoder=Convolutions)
    ).cuda()
    x = torch.from_numpy(random_walks(6, length=40)).mT.contiguous().cuda()
    drawn = model.draw_masks(x, torch.Generator().manual_seed(0)).cuda()
    found = []
    for forward in (model, torch.compile(model)):
        model.zero_grad()
        forward(x, drawn)["loss"].backward()
        found.append(
            {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        )
    torch.testing.assert_close(found[1], found[0], rtol=1e-2, atol=1e-4)


def test_one_process_of_torchrun_trains_over_nccl(tmp_path: Path) -> None:
    table = tmp_path / "data.csv"
    rows = [
        f"{i},{t},{v}"
        for i, x in enumerate(random_walks(12, 1, 40))
        for t, v in enumerate(x[0])
    ]
    table.write_text("\n".join(["id,time,value", *rows]) + "\n")
    command = "-m torch.distributed.run --standalone --nproc-per-node 1 -m temporal_jepa pretrain"
    options = f"--data {table} --out {tmp_path / 'run'} --steps 4 --device cuda"
    done = subprocess.run(
        [sys.executable, *command.split(), *options.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "NCCL_DEBUG": "WARN"},
    )
    assert done.returncode == 0, done.stderr
    assert np.isfinite(losses(tmp_path / "run")).all()


def test_estimators_give_what_they_give_on_the_cpu() -> None:
    X = random_walks(16, 1, 60)
    y = np.arange(16) % 2
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0, device="cuda").fit(X)
    Z = embedder.transform(X)
    assert isinstance(Z, np.ndarray)
    again = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_allclose(again.transform(X), Z, rtol=1e-3, atol=1e-3)
    frozen = {
        d: TemporalJEPAClassifier(base="series-small", steps=0, device=d).fit(X, y)
        for d in ("cpu", "cuda")
    }
    np.testing.assert_allclose(
        frozen["cuda"].predict_proba(X), frozen["cpu"].predict_proba(X), atol=1e-3
    )
    long = random_walks(1, 1, 400)[0, 0]
    scores = [
        AnomalyDetector(window=30, device=d).fit(long).score(long)
        for d in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-2)


def test_a_model_on_the_gpu_is_exported(tmp_path: Path) -> None:
    model = (
        TemporalJEPAEmbedder(
            init_from="scratch", steps=2, random_state=0, device="cuda"
        )
        .fit(random_walks(16, 1, 60))
        .model_
    )
    assert export(model, tmp_path / "model.onnx").stat().st_size > 0
    assert next(model.parameters()).is_cuda
