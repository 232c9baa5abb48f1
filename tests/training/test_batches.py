"""Batches are functions of the step and of the sequence, whatever the number of processes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY
from small_runs import SHORT, walks

from temporal_jepa import Sequences, TemporalJEPA
from temporal_jepa.model.objectives import MaskedLatent
from temporal_jepa.training.batches import Batches, plan_batches
from temporal_jepa.training.channels import SingleChannels
from temporal_jepa.training.initial import Start, initial_model

MASKS = ("random", "block", "future", "tube")


def batches_of(
    sequences: Sequences, size: int, **change: Any
) -> tuple[TemporalJEPA, Batches]:
    config = replace(SHORT, batch_size=size, accumulate=change.pop("accumulate", 1))
    model = initial_model(sequences, **{**TINY, "patch_len": 4, **change})
    return model, plan_batches(model, sequences, config)


def samples_of(
    model: TemporalJEPA, batches: Batches, world: int, step: int
) -> dict[int, tuple[bytes, bytes]]:
    """Row of the batch -> its values and masks, without padding, as the processes draw them."""
    found = {}
    for rank in range(world):
        rows = batches.rows(rank, world)
        batch = batches.draw(model, batches.values(step, rows), step, rows)
        assert isinstance(batch.drawn, torch.Tensor)
        for k, row in enumerate(rows):
            length = int(torch.nonzero(~batch.x[k].isnan().all(1))[-1]) + 1
            tokens = -(-length // 4)
            assert not bool(batch.drawn[:, k, tokens:].any())
            values = batch.x[k, :length].numpy().tobytes()
            found[row] = values, batch.drawn[:, k, :tokens].numpy().tobytes()
    return found


@pytest.mark.parametrize("mask", MASKS)
def test_any_number_of_processes_draws_the_same_samples_and_masks(mask: str) -> None:
    """Lengths are unequal, so processes pad to different lengths."""
    model, batches = batches_of(walks(40), 16, mask=mask, accumulate=2)
    for step in (0, 5):
        expected = samples_of(model, batches, 1, step)
        assert sorted(expected) == list(range(16))
        for world in (2, 4, 8):
            assert samples_of(model, batches, world, step) == expected


def test_masks_of_a_sequence_differ_between_epochs_and_seeds() -> None:
    model, batches = batches_of(walks(8), 8, mask="random")
    masks = {
        masks
        for step in range(4)
        for _, masks in samples_of(model, batches, 1, step).values()
    }
    assert len(masks) > 16


class Reversed(MaskedLatent):
    """Draws its masks itself, for whatever it is given."""

    def draw(self, encoder: Any, x: Any, generator: Any) -> torch.Tensor:
        count = -(-x.shape[1] // encoder.config.patch)
        return torch.rand(1, len(x), count, generator=generator) < 0.5


def test_an_objective_that_draws_itself_is_called_for_each_sequence() -> None:
    sequences = walks(40)
    model = initial_model(sequences, 0, Reversed(), patch_len=4, **TINY)
    batches = plan_batches(model, sequences, replace(SHORT, batch_size=16))
    assert samples_of(model, batches, 4, 3) == samples_of(model, batches, 1, 3)


class Counting(list[Any]):
    """Values that count how often they are read."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("world", [1, 8, 512, 1000])
def test_a_process_reads_its_rows_alone(world: int) -> None:
    sequences = Sequences.from_arrays(np.zeros((4000, 1, 8)) + np.arange(8))
    batches = Batches(sequences, replace(SHORT, batch_size=4 * world), 8, 2)
    values = Counting(sequences.values)
    object.__setattr__(sequences, "values", values)
    batches.values(3, batches.rows(world - 1, world))
    assert values.reads == 4


def test_single_channels_are_computed_when_they_are_read() -> None:
    rng = np.random.default_rng(0)
    series = [rng.standard_normal((3, n)).cumsum(1) for n in (300, 40, 700)]
    series[1][:, :5] = np.nan
    series[2][1, 50:60] = np.nan
    series[0][2] = np.nan
    sequences = Sequences.from_arrays(series)
    model = Start("series-small").model(sequences, 0)
    rows = SingleChannels(model.config, sequences)
    assert len(rows) == 9
    for row in range(9):
        x = rows[row]
        assert x.dtype == np.float32
        assert 1 <= len(x) <= rows.lengths[row]
        assert not np.isnan(x).any()
        if row != 2:  # nothing is observed there
            assert abs(float(x.mean())) < 1e-5
            assert float(x.std()) == pytest.approx(1, abs=1e-5)
    assert not rows[2].any()
    assert rows.batch([0, 4]).shape == (2, int(rows.lengths[[0, 4]].max()), 1)
