"""The scorers of anomalies that use the compact space or train an encoder."""

import anomaly
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

ODD = slice(900, 940)


def wave() -> np.ndarray:
    """`(1200,)`: noisy periods of 40 timesteps, one of them faster."""
    time = np.arange(1200)
    x = np.sin(2 * np.pi * time / 40)
    x[ODD] = np.sin(2 * np.pi * time[ODD] / 8)
    return x + 0.1 * np.random.default_rng(0).normal(size=1200)


@pytest.mark.parametrize("scorer", ["compact", "next_latent", "next_latent_distance"])
def test_a_planted_anomaly_is_found(
    scorer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anomaly, "STEPS", 60)
    score = anomaly.score(scorer, wave(), 0, "all", 80, 0)
    is_odd = np.isin(np.arange(1200), np.arange(1200)[ODD])
    assert score.shape == (1200,)
    assert np.isfinite(score).all()
    assert roc_auc_score(is_odd, score) > 0.9
