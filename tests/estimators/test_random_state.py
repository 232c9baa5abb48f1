"""The same `random_state` gives the same bits, and nothing global is read or changed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from factories import TINY, random_walks

from temporal_jepa import TemporalJEPAEmbedder
from temporal_jepa.checkpoint import from_pretrained, save_pretrained
from temporal_jepa.config import PretrainConfig
from temporal_jepa.data.sequences import Sequences
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier
from temporal_jepa.evaluation import attentive
from temporal_jepa.evaluation.attentive import attentive_probe
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

X = random_walks(12, 2, 40)
Y = np.arange(12) % 2


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def other_state() -> Iterator[None]:
    """Another state of torch's and numpy's global generators."""
    torch.manual_seed(123)
    torch.rand(7)
    np.random.seed(123)  # noqa: NPY002
    yield


CONTEXTS = {
    "float64 by default": lambda: default_dtype(torch.float64),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "other global state": other_state,
}


def embedded(**options: Any) -> bytes:
    embedder = TemporalJEPAEmbedder(
        init_from="scratch",
        steps=2,
        embed_dim=8,
        encoder_depth=1,
        num_heads=2,
        random_state=0,
        **options,
    )
    return embedder.fit(X).transform(X).tobytes()


def adapted() -> bytes:
    embedder = TemporalJEPAEmbedder(steps=1, pool="mean", random_state=0).fit(X)
    return embedder.adapt(X, steps=1).transform(X).tobytes()


def classified() -> bytes:
    base = TemporalJEPAEmbedder(steps=1, pool="mean", random_state=0)
    fitted = TemporalJEPAClassifier(base, steps=2, random_state=0).fit(X, Y)
    return fitted.decision_function(X).tobytes()


def trained_with_dropout() -> bytes:
    data = Sequences.from_arrays(X)
    config = PretrainConfig(steps=2, device="cpu")
    model = train(initial_model(data, dropout=0.2, **TINY), data, config)
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


def probed() -> bytes:
    tokens = X.transpose(0, 2, 1), np.ones((12, 40), dtype=bool)
    other = X[::-1].transpose(0, 2, 1).copy(), np.ones((12, 40), dtype=bool)
    accuracy = attentive_probe(tokens, Y, other, Y)
    return np.float64(accuracy).tobytes()


RESULTS = {
    "embedder": embedded,
    "adapt": adapted,
    "classifier": classified,
    "dropout": trained_with_dropout,
    "attentive": probed,
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attentive, "STEPS", (5, 5))


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("result", RESULTS)
def test_the_same_bits_in_every_context(result: str, context: str) -> None:
    expected = RESULTS[result]()
    make: Callable[[], AbstractContextManager[Any]] = CONTEXTS[context]
    with make():
        assert RESULTS[result]() == expected


@pytest.mark.parametrize("result", ["embedder", "dropout", "attentive"])
def test_the_same_bits_in_threads(result: str) -> None:
    tasks = [joblib.delayed(RESULTS[result])() for _ in range(6)]
    found = joblib.Parallel(3, backend="threading")(tasks)
    assert set(found) == {RESULTS[result]()}


@pytest.mark.parametrize("result", RESULTS)
def test_the_global_state_stays(result: str) -> None:
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    RESULTS[result]()
    assert torch.equal(torch.get_rng_state(), before[0])
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(after[1], before[1][1])
    assert after[2:] == before[1][2:]


def test_a_loaded_model_is_the_same_everywhere(tmp_path: Any) -> None:
    data = Sequences.from_arrays(X)
    save_pretrained(initial_model(data, **TINY), tmp_path)
    expected = from_pretrained(tmp_path).state_dict()
    for make in [*CONTEXTS.values(), nullcontext]:
        state = torch.get_rng_state()
        with make():
            state = torch.get_rng_state()
            found = from_pretrained(tmp_path).state_dict()
            assert torch.equal(torch.get_rng_state(), state)
        for name, value in found.items():
            assert value.dtype == torch.float32
            assert torch.equal(value, expected[name])


def test_a_model_loaded_in_inference_mode_can_be_trained(tmp_path: Any) -> None:
    data = Sequences.from_arrays(X)
    save_pretrained(initial_model(data, **TINY), tmp_path)
    with torch.inference_mode():
        model = from_pretrained(tmp_path)
    train(model, data, PretrainConfig(steps=1, device="cpu"))
