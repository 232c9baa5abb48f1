"""The part of each column is decided from the table, not from a name or an order.

Each property changes what a table looks like, not what it holds: other names of the same kind,
columns or rows in another order, more series, another channel.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_jepa.data import Sequences, read

ID_NAMES = ["id", "subject", "batch_no", "machine", "Patient", "device id", "where"]
TIME_NAMES = ["time", "date", "recorded_at", "Datum", "when"]
CHANNEL_NAMES = ["load", "flow", "temp", "p1", "s_2", "T (degC)", "rate", "CO(GT)"]
COLUMN_NAMES = ["sensor", "variable", "parameter", "channel"]
names = st.permutations(CHANNEL_NAMES)
seeds = st.integers(0, 10**6)


@dataclass
class Panel:
    """Series of one length at the same times, and the words a table of them uses."""

    series: int
    steps: int
    channels: list[str]
    id: str = "id"
    time: str = "time"
    numbered: bool = False
    seed: int = 0
    values: np.ndarray = field(init=False)  # (series, steps, channels)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shape = (self.series, self.steps, len(self.channels))
        self.values = np.round(rng.normal(size=shape).cumsum(1) + 0.0001, 4)

    @property
    def ids(self) -> list[str]:
        form = "{}" if self.numbered else "unit {}"
        return [form.format(k + 3) for k in range(self.series)]

    @property
    def times(self) -> pd.DatetimeIndex:
        return pd.date_range("2024-02-27", periods=self.steps, freq="D")

    def long(self) -> pd.DataFrame:
        """A row is a timestep of a series."""
        ids = [int(name) if self.numbered else name for name in self.ids]
        frame = pd.DataFrame(
            {
                self.id: np.repeat(ids, self.steps),
                self.time: np.tile(self.times.strftime("%Y-%m-%d"), self.series),
            }
        )
        flat = self.values.reshape(-1, len(self.channels))
        for k, name in enumerate(self.channels):
            frame[name] = flat[:, k]
        return frame

    def wide(self) -> pd.DataFrame:
        """A row is a series of the first channel, a column a day."""
        days = self.times.strftime("%Y-%m-%d")
        frame = pd.DataFrame(self.values[:, :, 0], columns=days)
        frame.insert(0, self.id, self.ids)
        return frame

    def tidy(self, column: str) -> pd.DataFrame:
        """A row is a value."""
        return self.long().melt([self.id, self.time], var_name=column)

    def check(self, found: Sequences, channels: list[str] | None = None) -> None:
        """The series have these ids, channels, times and values."""
        assert sorted(found.ids) == sorted(self.ids)
        wanted = self.channels if channels is None else channels
        assert sorted(found.channels) == sorted(wanted)
        assert found.labels is None
        columns = [found.channels.index(name) for name in wanted]
        for name, values in zip(self.ids, self.values, strict=True):
            k = found.ids.index(name)
            expected = values[:, : len(wanted)].astype(np.float32)
            np.testing.assert_array_equal(found.values[k][:, columns], expected)
            if found.times is not None:
                assert (found.times[k] == self.times.to_numpy()).all()


panels = st.builds(
    Panel,
    series=st.integers(2, 6),
    steps=st.integers(4, 9),
    channels=names.map(lambda some: some[:3]),
    id=st.sampled_from(ID_NAMES),
    time=st.sampled_from(TIME_NAMES),
    numbered=st.booleans(),
    seed=seeds,
)


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


def rearranged(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame.sample(frac=1, axis=1, random_state=seed)


@settings(max_examples=25)
@given(panels)
def test_other_words_of_the_same_kind_change_nothing(panel: Panel) -> None:
    found = read(panel.long())
    panel.check(found)
    assert found.times is not None


@settings(max_examples=25)
@given(panels, seeds)
def test_the_order_of_columns_and_rows_changes_nothing(panel: Panel, seed: int) -> None:
    panel.check(read(rearranged(shuffled(panel.long(), seed), seed)))


@settings(max_examples=25)
@given(panels, seeds)
def test_a_tidy_table_in_any_order_holds_the_same(panel: Panel, seed: int) -> None:
    column = COLUMN_NAMES[seed % len(COLUMN_NAMES)]
    panel.check(read(rearranged(shuffled(panel.tidy(column), seed), seed)))


@settings(max_examples=25)
@given(panels, seeds)
def test_columns_of_days_in_any_order_are_time(panel: Panel, seed: int) -> None:
    panel.numbered = False
    panel.channels = ["value"]
    found = read(rearranged(shuffled(panel.wide(), seed), seed))
    panel.check(found, channels=found.channels[:1])
    assert found.n_channels == 1


@settings(max_examples=25)
@given(panels)
def test_twice_as_many_series_are_read_like_half_of_them(panel: Panel) -> None:
    frame = panel.long()
    more = frame.copy()
    more[panel.id] = more[panel.id] + 100 if panel.numbered else more[panel.id] + " b"
    found = read(pd.concat([frame, more], ignore_index=True))
    assert len(found) == 2 * panel.series
    panel.check(found.select(range(panel.series)))


@settings(max_examples=25)
@given(panels, st.sampled_from(["whole", "flag", "constant", "counter", "tiny"]), seeds)
def test_another_channel_changes_no_other_column(
    panel: Panel, kind: str, seed: int
) -> None:
    """Whatever a channel holds, it stays a channel, and the others keep their parts."""
    panel.id = "machine" if panel.numbered else panel.id
    frame = panel.long()
    rng = np.random.default_rng(seed)
    count = len(frame)
    frame["added"] = {
        "whole": rng.integers(20, 60, count),
        "flag": np.resize([0, 1, 1], count),
        "constant": np.full(count, 7.5),
        "counter": np.arange(count) * 3,
        "tiny": rng.normal(size=count) * 1e-7,
    }[kind]
    found = read(rearranged(frame, seed))
    assert "added" in found.channels
    rest = [found.channels.index(name) for name in panel.channels]
    panel.check(
        Sequences(
            [x[:, rest] for x in found.values],
            ids=found.ids,
            channels=panel.channels,
            times=found.times,
        )
    )


@settings(max_examples=25)
@given(panels, st.integers(0, 2))
def test_a_channel_less_changes_no_other_column(panel: Panel, lost: int) -> None:
    frame = panel.long().drop(columns=panel.channels[lost])
    panel.values = np.delete(panel.values, lost, axis=2)
    panel.channels = [name for k, name in enumerate(panel.channels) if k != lost]
    panel.check(read(frame))
