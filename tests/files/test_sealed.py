"""Every damage to a JSON file, a row or a model is noticed, and none is invented."""

import contextlib
import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from factories import TINY, edit_json
from hypothesis import given
from hypothesis import strategies as st

from temporal_jepa import TemporalJEPA, TemporalJEPAConfig, from_pretrained
from temporal_jepa.checkpoint import save_pretrained
from temporal_jepa.files.sealed import (
    json_bytes,
    read_json,
    read_line,
    seal_line,
    write_json,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5).filter(
    lambda content: not {"sha256", "crc"} & content.keys()
)


def flipped(content: bytes, bit: int) -> bytes:
    bit %= 8 * len(content)
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@hypothesis.settings(max_examples=20)
@given(OBJECTS)
def test_what_is_sealed_is_read(content: dict[str, Any]) -> None:
    stored = json.loads(json_bytes(content))
    del stored["sha256"]
    assert stored == content
    assert read_line(seal_line(content).encode()) == content


@hypothesis.settings(max_examples=20)
@given(OBJECTS, st.integers(0, 10**6), st.data())
def test_a_damaged_row_is_never_another_row(
    row: dict[str, Any], bit: int, data: st.DataObject
) -> None:
    line = seal_line(row).encode()
    found = read_line(flipped(line, bit))
    if found is not None:  # of the entry "crc" itself: then it is one more entry
        assert row.items() <= found.items()
    cut = data.draw(st.integers(0, len(line) - 1))
    assert read_line(line[:cut]) is None


def test_a_damaged_file_is_never_another_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"steps": 100, "rate": 0.001, "names": ["a", "ü"], "none": None}
    write_json(path, content)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        path.write_bytes(flipped(whole, bit))
        with contextlib.suppress(ValueError):
            assert content.items() <= read_json(path).items()
    for size in range(len(whole) - 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.json"):
            read_json(path)


@pytest.mark.parametrize("text", ["[" * 10**5, "9" * 10**5, "[]", "\ud800", '{"a":'])
def test_no_json_object_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"a\.json.*(valid JSON|JSON object)"):
        read_json(path)


@pytest.fixture(scope="module")
def model() -> TemporalJEPA:
    return TemporalJEPA(TemporalJEPAConfig(input_dim=2, seq_len=40, **TINY))


def is_refused(folder: Path, model: TemporalJEPA) -> bool:
    """Whether a folder is refused; False if it holds the model, and nothing else is possible."""
    try:
        found = from_pretrained(folder)
    except ValueError:
        return True
    for name, value in found.state_dict().items():
        assert value.equal(model.state_dict()[name])
    return False


def test_no_flipped_bit_of_the_weights_is_loaded(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    path = save_pretrained(model, tmp_path) / "model.safetensors"
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    bits = [*range(0, 64, 7), *range(64, 8 * header, 997)]
    bits += range(8 * header, 8 * len(whole), len(whole))
    refused = 0
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        refused += is_refused(tmp_path, model)
    assert refused > 0.9 * len(
        bits
    )  # the others are in names of entries without a meaning


def test_equal_models_are_equal_files(model: TemporalJEPA, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_pretrained(model, tmp_path / name, {"data": {"n": 3, "path": "x.csv"}})
    for name in ("model.safetensors", "config.json"):
        a, b = ((tmp_path / folder / name).read_bytes() for folder in "ab")
        assert a == b


def test_a_model_half_replaced_is_refused(model: TemporalJEPA, tmp_path: Path) -> None:
    """As after a kill between the two renames: the architecture is the same, the data is not."""
    for name in ("a", "b"):
        save_pretrained(
            model, tmp_path / name, {"data": {"digest": name, "n": 1, "path": "x.csv"}}
        )
    weights = (tmp_path / "b" / "model.safetensors").read_bytes()
    (tmp_path / "a" / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match="belong to different models"):
        from_pretrained(tmp_path / "a")


def test_a_configuration_edited_on_purpose_is_used(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    file = save_pretrained(model, tmp_path) / "config.json"
    edit_json(file, lambda config: config["model"].update(dropout=0.5))
    assert from_pretrained(tmp_path).config.dropout == 0.5


def test_a_model_without_checksums_is_loaded(model: TemporalJEPA) -> None:
    """The models in the package have none."""
    assert from_pretrained("series-small-0.1").config.resolutions
