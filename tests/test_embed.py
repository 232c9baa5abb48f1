"""From sequences to arrays: batches of similar length, the order kept."""

import numpy as np
import pytest
from factories import TINY, ragged_walks

from temporal_jepa import Sequences
from temporal_jepa.embed import as_training_data, embed_sequences, embed_timesteps
from temporal_jepa.training.initial import initial_model


def ragged() -> Sequences:
    return Sequences.from_arrays(ragged_walks())


@pytest.mark.parametrize("batch_tokens", [1, 50, 4096])
def test_batches_do_not_change_embeddings_or_their_order(batch_tokens: int) -> None:
    data = ragged().select([3, 0, 7, 1, 5, 2, 6, 4])
    model = initial_model(data, **TINY)
    found = embed_sequences(model, data, batch_tokens=batch_tokens)
    assert found.dtype == np.float32
    for i in range(len(data)):
        np.testing.assert_allclose(
            found[i], embed_sequences(model, data.select([i]))[0], atol=1e-5
        )


def test_timesteps_have_the_length_of_their_series() -> None:
    data = ragged()
    steps = embed_timesteps(initial_model(data, **TINY), data, batch_tokens=60)
    assert [len(x) for x in steps] == data.lengths.tolist()
    assert all(x.shape[1] == 16 and not np.isnan(x).any() for x in steps)


def test_other_channels_than_the_model_are_named() -> None:
    model = initial_model(ragged(), **TINY)
    with pytest.raises(ValueError, match=r"expects 2 channels, got 3 \(0, 1, 2\)"):
        embed_sequences(model, Sequences.from_arrays(np.zeros((2, 3, 9))))


def test_series_that_are_read_only_are_training_data() -> None:
    data = Sequences.from_arrays(np.sin(np.arange(80.0)).reshape(2, 40))
    options = {**TINY, "normalize": "instance", "tokenizer": "dilated"}
    model = initial_model(data, **options, resolutions=(16, 32), seq_len=32)
    for values in data.values:
        values.flags.writeable = False
    assert model.config.channel_independent
    assert len(as_training_data(model, data)) == 2  # a warning of torch is an error
