"""States: what a generated recording is made of, gaps, numbers of states, and refusals."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from factories import TINY, random_walks
from sklearn.metrics import normalized_mutual_info_score

from temporal_jepa import PretrainConfig, Sequences, from_pretrained
from temporal_jepa.embed import embed_layers, embed_timesteps
from temporal_jepa.evaluation.states import (
    StateModel,
    cheapest_path,
    find_states,
    segments_of,
)
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

PERIODS = (6, 13, 40)


def recordings(
    n: int = 16, length: int = 400, noise: float = 0.7
) -> tuple[Sequences, list[npt.NDArray[np.int64]]]:
    """Twelve noisy channels that turn around; the state is how fast. Returns also the states."""
    draw = np.random.default_rng(0)
    mix = draw.normal(size=(2, 12)) / 2
    values = []
    states = []
    for _ in range(n):
        state = np.repeat(draw.permutation(np.arange(length // 50) % 3), 50)
        phase = np.cumsum(2 * np.pi / np.array(PERIODS)[state])
        clean = np.stack([np.sin(phase), np.cos(phase)], axis=1) @ mix
        values.append(clean + noise * draw.normal(size=clean.shape))
        states.append(state)
    return Sequences(values), states


def agreement(
    found: list[npt.NDArray[np.int64]], truth: list[npt.NDArray[np.int64]]
) -> float:
    return float(
        normalized_mutual_info_score(np.concatenate(truth), np.concatenate(found))
    )


@pytest.mark.slow
def test_states_of_a_noisy_recording_are_found_where_values_do_not_tell_them() -> None:
    sequences, truth = recordings()
    model = initial_model(sequences, objective="next", patch_len=5)
    untrained = find_states(model.eval(), sequences, 3)
    config = PretrainConfig(steps=100, batch_size=16, device="cpu")
    model = train(model, sequences, config)
    found = find_states(model, sequences, 3)
    patches = [x.reshape(-1, 5 * 12) for x in sequences.values]
    of_values = StateModel(3).fit(patches)
    raw = [of_values.decode(x).repeat(5) for x in patches]
    assert agreement(found.timesteps, truth) > 0.5
    assert agreement(raw, truth) < 0.1
    assert agreement(untrained.timesteps, truth) < 0.1
    assert find_states(model, sequences).count >= 2


def blobs(
    states: list[int], spread: float = 0.3, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Tokens near the corner of their state, `(N, 4)`."""
    draw = np.random.default_rng(seed)
    return np.eye(4)[states] * 3 + spread * draw.normal(size=(len(states), 4))


def tiny(
    n: int = 4, length: int = 60, **options: object
) -> tuple[TemporalJEPA, Sequences]:
    sequences = Sequences.from_arrays(random_walks(n, 2, length))
    settings = {**TINY, "patch_len": 3, **options}
    return initial_model(sequences, objective="next", **settings).eval(), sequences


@pytest.mark.parametrize("count", [2, 3, 4])
def test_states_of_the_data_are_found_without_their_number(count: int) -> None:
    truth = np.repeat(np.arange(12) % count, 20)
    features = [blobs(truth.tolist(), seed=seed) for seed in range(3)]
    found = StateModel().fit(features)
    assert count <= len(found.centers) <= count + 1  # moments of both sides of a change
    assert agreement([found.decode(x) for x in features], [truth] * 3) > 0.65


def test_gaps_between_tokens_do_not_move_the_others() -> None:
    truth = np.repeat([0, 1, 0, 1], 20)
    features = blobs(truth.tolist())
    features[::7] = np.nan
    decoded = StateModel(2).fit([features]).decode(features)
    assert (decoded[::7] == -1).all()
    observed = decoded >= 0
    assert agreement([decoded[observed]], [truth[observed]]) > 0.8


def test_a_path_switches_seldom() -> None:
    costs = np.zeros((9, 2))
    costs[:, 1] = 1.0
    costs[4] = [1.5, 0.0]  # one step speaks for the other state
    assert cheapest_path(costs, 0.0).tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert cheapest_path(costs, 1.0).tolist() == [0] * 9
    costs[4:] = [1.5, 0.0]
    assert cheapest_path(costs, 1.0).tolist() == [0] * 4 + [1] * 5


def test_the_path_is_the_cheapest_of_all() -> None:
    costs = np.random.default_rng(0).random((7, 3))
    every = np.stack(np.unravel_index(np.arange(3**7), (3,) * 7), axis=1)
    switches = (np.diff(every, axis=1) != 0).sum(axis=1)
    prices = costs[np.arange(7), every].sum(axis=1) + 0.4 * switches
    np.testing.assert_array_equal(cheapest_path(costs, 0.4), every[prices.argmin()])


def test_segments_and_shares_cover_what_is_observed() -> None:
    model, sequences = tiny()
    sequences.values[1][18:31] = np.nan  # four patches and a timestep
    sequences.values[2][50:] = np.nan  # three patches and a timestep
    found = find_states(model, sequences, 3)
    steps = embed_timesteps(model, sequences)
    for i, states in enumerate(found.timesteps):
        np.testing.assert_array_equal(states < 0, np.isnan(steps[i]).all(axis=1))
        covered = np.full(len(states), -1)
        for part in found.segments[i]:
            covered[part.start : part.stop] = part.state
        np.testing.assert_array_equal(covered, states)
        pairs = zip(found.segments[i], found.segments[i][1:], strict=False)
        assert all(a.stop < b.start or a.state != b.state for a, b in pairs)
    everything = np.concatenate(found.timesteps)
    observed = everything[everything >= 0]
    np.testing.assert_allclose(found.shares, np.bincount(observed) / len(observed))
    assert found.shares[0] == found.shares.max()


def test_typical_moments_are_of_their_state() -> None:
    model, sequences = tiny(6)
    found = find_states(model, sequences, 2)
    for state, places in enumerate(found.typical):
        assert places
        assert len(set(places)) == len(places)
        for i, start, stop in places:
            assert 0 <= start < stop <= len(sequences.values[i])
            assert stop - start <= found.moment
            assert state in found.timesteps[i][start:stop]


def test_other_sequences_get_the_states_of_the_reference() -> None:
    model, sequences = tiny(6)
    found = find_states(model, sequences, 3)
    part = sequences.select([4, 1])
    again = find_states(model, part, 3, reference=sequences)
    np.testing.assert_array_equal(again.timesteps[0], found.timesteps[4])
    np.testing.assert_array_equal(again.timesteps[1], found.timesteps[1])


def test_a_channel_without_values_is_no_obstacle() -> None:
    model, sequences = tiny()
    for x in sequences.values:
        x[:, 1] = np.nan
    found = find_states(model, sequences, 2)
    assert all((states >= 0).all() for states in found.timesteps)


def test_the_same_seed_gives_the_same_states() -> None:
    model, sequences = tiny()
    first = find_states(model, sequences, 3, seed=5)
    second = find_states(model, sequences, 3, seed=5)
    for a, b in zip(first.timesteps, second.timesteps, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.typical == second.typical


def test_one_state() -> None:
    model, sequences = tiny()
    found = find_states(model, sequences, 1)
    assert found.shares.tolist() == [1.0]
    assert [len(own) for own in found.segments] == [1] * 4
    alike = Sequences([np.ones((30, 2))] * 2)
    assert find_states(model, alike).count == 1


def test_sequences_of_one_token_and_less() -> None:
    model, _ = tiny()
    short = Sequences.from_arrays([x[:, :2] for x in random_walks(3)])
    found = find_states(model, short, 2)
    assert [len(states) for states in found.timesteps] == [2, 2, 2]
    alone = find_states(model, short.select([0]))
    assert alone.timesteps[0].tolist() == [0, 0]


def test_long_sequences_in_pieces_are_as_whole_ones() -> None:
    model, sequences = tiny(length=240, seq_len=60)
    whole = TemporalJEPA(replace(model.config, seq_len=240), model.objective)
    whole.load_state_dict(model.state_dict())
    whole.eval()
    found = find_states(model, sequences, 3)
    assert [len(states) for states in found.timesteps] == [240] * 4
    expected = find_states(whole, sequences, 3)
    assert agreement(found.timesteps, expected.timesteps) > 0.6
    gap = sequences.select([0, 1])
    gap.values[0][30:150] = np.nan  # longer than a piece
    states = find_states(model, gap, 2).timesteps[0]
    np.testing.assert_array_equal(np.flatnonzero(states < 0), np.arange(30, 150))


def test_a_model_of_separate_channels_has_states_of_timesteps() -> None:
    sequences = Sequences.from_arrays(random_walks(3, 2, 90))
    sequences.values[0][:7] = np.nan
    model = from_pretrained("series-small")
    found = find_states(model, sequences, 2)
    assert [len(states) for states in found.timesteps] == [90] * 3
    assert np.flatnonzero(found.timesteps[0] < 0).tolist() == list(range(7))


@pytest.mark.parametrize(
    ("count", "match"),
    [(0, "from 1, got 0"), (9, "9 states.*only 3"), (-2, "from 1")],
)
def test_numbers_of_states_that_cannot_be(count: int, match: str) -> None:
    model, _ = tiny()
    few = Sequences.from_arrays(random_walks(1, 2, 12))
    with pytest.raises(ValueError, match=match):
        find_states(model, few, count)


def test_frames_and_other_channels_are_refused() -> None:
    model, _ = tiny()
    with pytest.raises(ValueError, match="expects 2 channels, got 3"):
        find_states(model, Sequences.from_arrays(random_walks(2, 3)))
    blank = Sequences([np.full((9, 2), np.nan), np.ones((9, 2))])
    with pytest.raises(ValueError, match="no observed value in 0"):
        find_states(model, blank)
    scenes = Sequences.from_arrays(np.zeros((2, 8, 3, 2)) + np.arange(8)[:, None, None])
    of_scenes = initial_model(scenes, **TINY, patch_len=4)
    with pytest.raises(ValueError, match="scenes or video"):
        find_states(of_scenes, scenes)


def test_layers_are_those_of_the_encoder() -> None:
    model, sequences = tiny()
    sequences.values[1][6:12] = np.nan
    layers = embed_layers(model, sequences)
    width = model.config.embed_dim
    last = embed_timesteps(model, sequences)
    for tokens, steps in zip(layers, last, strict=True):
        assert tokens.shape == (20, 2 * width)
        np.testing.assert_allclose(tokens[:, -width:], steps[::3], atol=1e-5)
    assert np.flatnonzero(np.isnan(layers[1]).any(axis=1)).tolist() == [2, 3]


def test_segments() -> None:
    assert segments_of(np.array([-1, 4, 4])) == [(1, 3, 4)]
    assert segments_of(np.array([-1])) == []


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3"])
def test_a_wrong_count_is_refused(count: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number of states"):
        StateModel(count)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_tokens_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="the tokens are not finite"):
        StateModel(2).fit([np.full((20, 4), value)])
