"""Datasets of PyTorch: read once, refused where they can only be iterated, and made of series."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
)

from temporal_jepa import (
    PretrainConfig,
    Sequences,
    TemporalJEPADataset,
    TemporalJEPAEmbedder,
    from_pretrained,
    pretrain,
    read,
)
from temporal_jepa.data import datasets
from temporal_jepa.data.store.prepare import prepare
from temporal_jepa.files import memory


class Walks(Dataset):
    """Series of unequal length that never raise IndexError, as many datasets."""

    def __init__(self, kind="series", seed=0):
        self.kind = kind
        self.seed = seed
        self.asked = []

    def __len__(self):
        return 8

    def __getitem__(self, k):
        self.asked.append(k)
        random = np.random.default_rng([self.seed, k])
        x = torch.from_numpy(random.normal(size=(2, 40 + k)).cumsum(1))
        items = {
            "series": x,
            "labeled": (x, torch.tensor([k % 2])),
            "alone": (x,),
            "pairs": (x, x),
            "dict": {"x": x, "y": k},
        }
        return items[self.kind]


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.ones(2, 40)


class Streamed(IterableDataset):
    def __iter__(self):
        data = Walks("labeled")
        return iter([data[k] for k in range(8)])


ENTRANCES = (read, Sequences.from_arrays, TemporalJEPAEmbedder(frozen=True).fit)


@pytest.mark.parametrize("entrance", [read, Sequences.from_arrays])
def test_a_map_style_dataset_is_asked_for_each_item_once(entrance) -> None:
    data = Walks("labeled")
    found = entrance(data)
    assert data.asked == list(range(8))
    assert found.lengths.tolist() == list(range(40, 48))
    assert found.labels.tolist() == ["0", "1"] * 4
    np.testing.assert_allclose(found.values[3], Walks()[3].T, rtol=1e-6)
    assert entrance(Walks("alone")).labels is None


def test_an_estimator_takes_a_map_style_dataset() -> None:
    embedder = TemporalJEPAEmbedder(frozen=True)
    series = [Walks()[k].numpy() for k in range(8)]
    expected = embedder.fit(series).transform(series)
    np.testing.assert_array_equal(embedder.transform(Walks("labeled")), expected)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_dataset_without_a_length_and_an_iterator_are_refused_at_once(
    entrance,
) -> None:
    class NoLength(Dataset):
        def __getitem__(self, k):
            return torch.ones(1, 4)

    for stream in (NoLength(), (np.ones((2, 40)) for _ in range(3))):
        with pytest.raises(ValueError, match=r"may never end; pass a list.*prepare"):
            entrance(stream)


@pytest.mark.parametrize("entrance", [read, Sequences.from_arrays])
def test_an_iterable_dataset_is_read_to_its_end_once(entrance) -> None:
    expected = entrance(Walks("labeled"))
    for data in (Streamed(), DataLoader(Streamed(), batch_size=3)):
        found = entrance(data)
        assert found.labels.tolist() == expected.labels.tolist()
        for x, same in zip(found.values, expected.values, strict=True):
            np.testing.assert_array_equal(x, same)


def test_an_endless_dataset_ends_when_memory_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    monkeypatch.setattr(datasets, "FIRST_CHECK", 10_000)
    with pytest.raises(MemoryError, match=r"given \d+ series and not ended.*islice"):
        read(Endless())


def test_a_stream_that_goes_on_for_long_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datasets, "PATIENCE", 0.0)
    with pytest.warns(UserWarning, match=r"given 1 series, .* and goes on") as caught:
        read(Streamed())
    assert len(caught) == 1


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_loader_stands_for_its_dataset(entrance) -> None:
    data = Walks("labeled")
    entrance(DataLoader(data, batch_size=3, shuffle=True))
    assert data.asked == list(range(8))


def test_a_loader_that_chooses_or_changes_items_is_refused() -> None:
    sampler = SubsetRandomSampler([0, 2])
    with pytest.raises(ValueError, match=r"SubsetRandomSampler.*Subset\(loader"):
        read(DataLoader(Walks(), sampler=sampler))
    with pytest.raises(ValueError, match=r"pass the dataset: loader\.dataset\.dataset"):
        read(DataLoader(DataLoader(Walks())))
    with pytest.raises(ValueError, match=r"collate_fn of its own.*loader\.dataset"):
        read(DataLoader(Walks(), collate_fn=lambda items: items))


def test_items_that_are_no_series_are_refused_with_what_to_pass() -> None:
    with pytest.raises(ValueError, match=r"2 parts of shapes \(2, 40\), \(2, 40\)"):
        read(Walks("pairs"))
    with pytest.raises(ValueError, match=r"\[data\[k\]\['x'\] for k in range"):
        read(Walks("dict"))


def test_a_dataset_that_cannot_fit_is_refused_after_its_first_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    data = Walks()
    with pytest.raises(MemoryError, match=r"dataset of 8 items.*prepare"):
        read(data)
    assert data.asked == [0]


def test_a_run_on_a_dataset_resumes_only_with_the_same_items(tmp_path: Path) -> None:
    config = PretrainConfig(steps=2, save_every=1)
    run = pretrain(Walks(), tmp_path / "run", config, {"embed_dim": 16})
    pretrain(Walks(), run, config, {"embed_dim": 16}, resume=True)
    with pytest.raises(ValueError, match=r"same settings and data, but data\.digest"):
        pretrain(Walks(seed=1), run, config, {"embed_dim": 16}, resume=True)


def test_sequences_as_a_dataset_of_tensors() -> None:
    sequences = read(Walks("labeled"))
    data = TemporalJEPADataset(sequences, labels=True)
    x, label = data[-1]
    assert x.shape == (2, 47)
    assert (int(label), data.classes) == (1, ["0", "1"])
    again = read(TemporalJEPADataset(sequences))
    np.testing.assert_array_equal(again.values[7], sequences.values[7])
    with pytest.raises(IndexError, match="below 8"):
        data[8]
    with pytest.raises(ValueError, match="there are no labels"):
        TemporalJEPADataset(read(Walks()), labels=True)
    numbers = Sequences([np.ones((3, 1))] * 2, ["0.5", "2"], task="regression")
    assert TemporalJEPADataset(numbers, labels=True)[0][1].item() == 0.5


def test_bytes_of_video_are_between_0_and_1() -> None:
    video = Sequences.from_arrays(np.full((2, 3, 4, 4), 255, np.uint8))
    assert torch.equal(TemporalJEPADataset(video)[0], torch.ones(16, 3))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_workers_read_a_store_and_make_batches_that_models_take(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    for k in range(8):
        rows = "\n".join(f"{v:.6f},{w:.6f}" for v, w in Walks()[k].T.tolist())
        (folder / f"{k}.csv").write_text(f"a,b\n{rows}\n")
    sequences = prepare(folder, tmp_path / "data.store")
    assert sequences.is_stored
    data = TemporalJEPADataset(sequences)
    data = pickle.loads(pickle.dumps(data))  # as workers that are spawned get it
    loader = DataLoader(data, batch_size=4, num_workers=2, collate_fn=data.collate)
    batches = list(loader)
    assert [x.shape for x in batches] == [(4, 43, 2), (4, 47, 2)]
    np.testing.assert_allclose(batches[1][0, :44], Walks()[4].T, atol=1e-5)
    assert batches[1][0, 44:].isnan().all()
    assert len(from_pretrained("series-small").embed(batches[0].float())) == 4


def test_equal_lengths_need_no_collate() -> None:
    data = TemporalJEPADataset(TensorDataset(torch.randn(6, 2, 30)))
    assert next(iter(DataLoader(data, batch_size=6))).shape == (6, 2, 30)
