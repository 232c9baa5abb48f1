"""Tables of a database in one folder: one names the rows of another."""

from pathlib import Path

import pandas as pd
import pytest

from temporal_jepa import read
from temporal_jepa.config import ReadOptions
from temporal_jepa.data.formats.registry import read_table
from temporal_jepa.data.related import refuse_related

POINTS = pd.DataFrame(
    {
        "id": range(12),
        "track_id": [7, 8, 9] * 4,
        "time": [t for t in range(4) for _ in range(3)],
        "heat": [0.5 * k for k in range(12)],
    }
)
TRACKS = pd.DataFrame({"id": [7, 8, 9], "kind": ["bus", "car", "bus"]})


def test_related_tables_are_refused_with_the_lines_that_join_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("both").mkdir()
    POINTS.to_csv("both/points.csv", index=False)
    TRACKS.to_csv("both/tracks.csv", index=False)
    with pytest.raises(
        ValueError, match="two related tables: column 'track_id'"
    ) as found:
        read("both")
    message = str(found.value)
    code = message[message.index("pd.read_csv") : message.index(", and read")]
    exec(code, {"pd": pd})
    joined = read("points_joined.csv", id="track_id", time="time", label="kind")
    assert joined.ids == ["7", "8", "9"]
    assert joined.labels.tolist() == ["bus", "car", "bus"]
    assert read("both/points.csv", id="track_id", time="time").channels == ["heat"]


@pytest.mark.parametrize(
    "other", [TRACKS.assign(id=[7, 8, 8]), TRACKS.assign(id=[7, 8, 1]), POINTS]
)
def test_other_tables_are_not_called_related(
    tmp_path: Path, other: pd.DataFrame
) -> None:
    POINTS.to_csv(tmp_path / "points.csv", index=False)
    other.to_csv(tmp_path / "tracks.csv", index=False)
    files = [tmp_path / "points.csv", tmp_path / "tracks.csv"]
    refuse_related({str(file): read_table(file, ReadOptions()) for file in files})
