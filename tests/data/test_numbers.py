"""Numbers in text: one decimal mark for a column, proved by its values or by the file."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_jepa.config import ReadOptions
from temporal_jepa.data.tables.numbers import (
    Dialect,
    as_numbers,
    convert,
    mostly_numbers,
    parse,
)
from temporal_jepa.data.tables.readings import AmbiguousError


def converted(texts, name="v", dialect=None, **options):
    frame = pd.DataFrame({name: texts})
    return convert(frame, ReadOptions(**options), [], dialect)[name]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["0,5", "1,231"], [0.5, 1.231]),
        (["12,34", "1,5E3", "-,5"], [12.34, 1500, -0.5]),
        (["1234,567", "1,231"], [1234.567, 1.231]),
        (["1,231", "1,234,567"], [1231, 1234567]),
        (["1.231", "1.234.567"], [1231, 1234567]),
        (["1,231.5", "1,231"], [1231.5, 1231]),
        (["1.231,5", "1.231"], [1231.5, 1231]),
        (["1,23,456", "12,34,567.5"], [123456, 1234567.5]),
        (["1 234,5", "1\u202f234", "1\u00a0234 "], [1234.5, 1234, 1234]),
        (["1'234.5", "1\u2019234"], [1234.5, 1234]),
        (["\u22125,5", "+5,5", "5,5-"], [-5.5, 5.5, -5.5]),
        (["(1,234.5)", "3"], [-1234.5, 3]),
        (["1000,-", "-5,-", "1.250,-", "2,50"], [1000, -5, 1250, 2.5]),
        (["1'000.-", "2.50"], [1000, 2.5]),
        (["1.5d3", ".5", "5.", " 7 "], [1500, 0.5, 5, 7]),
        (["1.231", "1500"], [1.231, 1500]),
        (["1,231", "1500"], [1.231, 1500]),
        (["007.5", "010"], [7.5, 10]),
        (["1", None, "NA", "none"], [1, np.nan, np.nan, np.nan]),
    ],
)
def test_a_proof_settles_the_whole_column(values, numbers):
    np.testing.assert_array_equal(converted(values), numbers)
    np.testing.assert_array_equal(converted(pd.Categorical(values)), numbers)


@pytest.mark.parametrize(
    "values",
    [
        ["007", "010"],
        ["01.2024", "02.2024"],
        ["192.168.100.101", "192.168.100.102"],
        ["(1)", "(2)"],
        ["1-", "2-"],
        ["12345678901234567890", "2"],
        ["5V", "12V"],
        ["1.2.3", "1.2.4"],
        ["1.5 2.5", "2.5 3.5"],
        ["yes", "no"],
        ["1_000", "2"],
        ["12", "twelve"],
    ],
)
def test_what_is_rather_a_name_stays_text(values):
    assert converted(values).tolist() == values


@pytest.mark.parametrize("name", ["id", "track_id", "position", "geometry", "lat_lon"])
def test_columns_named_like_ids_and_places_stay_text(name):
    assert converted(["1,5", "2,5"], name=name).tolist() == ["1,5", "2,5"]


def test_columns_that_options_name_stay_text():
    assert converted(["1.50", "2"], label="v").tolist() == ["1.50", "2"]
    assert converted(["1.50", "2"], id="w,v").tolist() == ["1.50", "2"]


def test_degrees_have_no_thousands():
    frame = pd.DataFrame({"lat": ["47,123", "47,124"], "lon": ["8,123", "8,124"]})
    assert convert(frame, ReadOptions(), [])["lon"].tolist() == [8.123, 8.124]
    alone = convert(frame[["lat"]], ReadOptions(), [])
    assert alone["lat"].tolist() == ["47,123", "47,124"]


def test_three_digits_behind_a_comma_are_a_question():
    with pytest.raises(AmbiguousError, match="column 'v' holds '1,231'") as caught:
        converted(["1,231", "1,232"])
    point, comma = caught.value.readings
    assert (point.options, comma.options) == ({"decimal": "."}, {"decimal": ","})
    assert point.rows == [("1,231", "1231"), ("1,232", "1232")]
    assert comma.rows == [("1,231", "1.231"), ("1,232", "1.232")]
    assert converted(["1,231", "1,232"], decimal=".").tolist() == [1231, 1232]
    assert converted(["1,231", "1,232"], decimal=",").tolist() == [1.231, 1.232]


def test_a_question_about_a_column_that_is_not_read_is_not_asked():
    assert converted(["1,231", "1,232"], values="w").tolist() == ["1,231", "1,232"]


def test_the_rest_of_the_file_settles_an_open_column():
    points = Dialect(",", read={"w": (".", "0.5")})
    assert converted(["1,231", "1,232"], dialect=points).tolist() == [1231, 1232]
    both = Dialect(";", read={"w": (".", "0.5"), "u": (",", "0.5")})
    assert converted(["1,231", "1,232"], dialect=both).tolist() == [1.231, 1.232]
    frame = pd.DataFrame({"v": ["1.231", "1.232"], "w": ["0,5", "0,6"]})
    read = convert(frame, ReadOptions(), [], Dialect(";"))
    assert read["v"].tolist() == [1231, 1232]
    assert read["w"].tolist() == [0.5, 0.6]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_three_digits_behind_a_point_are_a_question_where_commas_are_decimal(separator):
    with pytest.raises(AmbiguousError, match="decimal=','"):
        converted(["1.231", "1.232"], dialect=Dialect(separator))
    assert converted(["1.231", "1.232"], dialect=Dialect(",")).tolist() == [
        1.231,
        1.232,
    ]


def test_columns_of_two_dialects_are_read_by_their_own_proofs():
    frame = pd.DataFrame({"v": ["20,1", "20,2"], "w": ["1.2", "1.25"]})
    read = convert(frame, ReadOptions(), [], Dialect(";"))
    assert read.to_numpy().tolist() == [[20.1, 1.2], [20.2, 1.25]]


def test_a_column_with_both_decimal_marks_is_an_error_with_both_rows():
    with pytest.raises(
        ValueError, match=r"'v'.*'2.5' \(data row 3\).*'1,5' \(data row 2"
    ):
        converted(["7", "1,5", "2.5"])


@pytest.mark.parametrize(
    "values", [["$1,200.50", "3"], ["12 %"], ["3.4 kg"], ["12ms"], ["EUR 5,5"], ["5 A"]]
)
def test_units_are_refused_by_name(values):
    with pytest.raises(ValueError, match=r"column 'price' holds .*strip_units=True"):
        converted(values, name="price")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["$1,200.50", "-$3", "$5"], [1200.5, -3, 5]),
        (["12 %", "7,5%"], [12, 7.5]),
        (["12ms", "0.5ms", ""], [12, 0.5, np.nan]),
    ],
)
def test_units_are_stripped_on_request(values, numbers):
    np.testing.assert_array_equal(converted(values, strip_units=True), numbers)


def test_the_units_of_a_target_are_not_passed_over():
    with pytest.raises(ValueError, match="column 'y'"):
        converted(["3 kg"], name="y")
    assert converted(["3 kg"], name="y", strip_units=True).tolist() == [3]
    assert converted(["10s"], name="label").tolist() == ["10s"]


def test_a_stripped_unit_is_noted():
    notes = []
    convert(pd.DataFrame({"p": ["12 %"]}), ReadOptions(strip_units=True), notes)
    assert "12 % is 12" in notes[0]


def test_two_units_in_a_column_are_an_error():
    with pytest.raises(
        ValueError, match=r"'3 kg' \(data row 1\) and '9 g' \(data row 2"
    ):
        converted(["3 kg", "9 g"], strip_units=True)


def test_missing_texts_are_those_of_the_option():
    assert converted(["NA", "EU"], missing="").tolist() == ["NA", "EU"]
    assert pd.isna(converted(["NA", "EU"])[0])
    np.testing.assert_array_equal(converted(["-", "5"], missing="-"), [np.nan, 5])
    np.testing.assert_array_equal(converted([-999, 5], missing="-999"), [np.nan, 5])
    np.testing.assert_array_equal(converted([-999, 5]), [-999, 5])


def test_objects_and_booleans():
    assert converted([Decimal("1.50"), Decimal(2)]).tolist() == [1.5, 2]
    assert converted([1, "2.5", None])[:2].tolist() == [1, 2.5]
    assert converted(["true", "FALSE"]).tolist() == [True, False]
    assert converted(["true", "false"], name="label").tolist() == ["true", "false"]
    lists = [[1, 2], [3]]
    assert converted(pd.Series(lists)).tolist() == lists


def test_whole_numbers_stay_whole():
    assert converted(["20240131", "20240201"]).dtype == np.int64


def test_a_value_column_is_forced():
    options = ReadOptions()
    assert as_numbers(pd.Series(["007", "010"]), options).tolist() == [7, 10]
    assert as_numbers(pd.Series(["0,5", None]), options)[0] == 0.5
    assert as_numbers(pd.Series([True, False]), options).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"'v' holds 'x7' in data row 2, .*\(2 such"):
        as_numbers(pd.Series(["1", "x7", "x8", "4"], name="v"), options)
    with pytest.raises(ValueError, match="missing='-'"):
        as_numbers(pd.Series(["1", "-", "3"], name="v"), options)


NUMBERS = st.lists(
    st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1, max_size=8
)
GROUPS = {".": ["", ",", " ", "\u202f", "'"], ",": ["", ".", " ", "\u00a0"]}


def written(value, mark, group, digits):
    text = f"{value:,.{digits}f}".replace(",", "_").replace(".", mark)
    return text.replace("_", group)


@given(NUMBERS, st.sampled_from([".", ","]), st.integers(0, 6), st.data())
def test_any_numbers_in_any_dialect_come_back_or_are_a_question(
    values, mark, digits, data
):
    group = data.draw(st.sampled_from(GROUPS[mark]))
    texts = [written(value, mark, group, digits) for value in values]
    truth = [round(value, digits) for value in values]
    try:
        read = converted(texts, dialect=Dialect(";"))
    except AmbiguousError:
        read = converted(texts, dialect=Dialect(";"), decimal=mark)
        assert any(parse(text, ".") != parse(text, ",") for text in texts)
    if read.dtype.kind in "if":
        np.testing.assert_allclose(read, truth, rtol=1e-15, atol=0)
    else:
        assert read.tolist() == texts


@pytest.mark.parametrize(
    ("texts", "mostly"),
    [
        (["1,5", "2,5", "-"], True),
        (["1.5", "x", "2"], True),
        (["a", "b", "1"], False),
        ([[1], [2]], False),
        ([None, None], True),
    ],
)
def test_a_column_of_mostly_numbers_is_told_in_any_writing(texts, mostly):
    assert mostly_numbers(pd.Series(texts, dtype=object)) is mostly


def test_percent_beside_numbers_without_it_is_refused():
    with pytest.raises(
        ValueError, match=r"'5%' \(data row 1\) and '0.06' \(data row 2\)"
    ):
        converted(["5%", "0.06", "7%"], strip_units=True)
    assert converted(["5 ms", "6", "7 ms"], strip_units=True).tolist() == [5, 6, 7]


def test_the_note_on_decimal_commas_names_columns_whose_points_group():
    notes = []
    frame = pd.DataFrame({"v": ["1.234", "2.345"], "w": ["1,5", "2,5"]})
    found = convert(frame, ReadOptions(), notes, Dialect(";"))
    assert found["v"].tolist() == [1234, 2345]
    assert notes == ["numbers in text: 1.234 is 1234 (columns v, w)"]
    notes = []
    dialect = Dialect(";", {"w": (",", "1.5")})
    convert(frame[["v"]], ReadOptions(), notes, dialect)
    assert notes == ["decimals are commas: 1,5 is 1.5 (columns w, v)"]


def test_booleans_with_gaps_are_numbers_with_gaps():
    np.testing.assert_array_equal(converted(["true", None, "False"]), [1, np.nan, 0])


def test_missing_values_can_be_written_with_a_decimal_comma():
    frame = pd.DataFrame({"v": [-9.99, 2.5]})
    found = convert(frame, ReadOptions(missing=("-9,99",)), [])
    np.testing.assert_array_equal(found["v"], [np.nan, 2.5])


@pytest.mark.parametrize("text", ["0.5", "0,5"])
def test_a_decimal_option_that_does_not_fit_is_noted(text):
    mark = "," if "." in text else "."
    frame = pd.DataFrame({"v": [text, text]})
    notes = []
    assert convert(frame, ReadOptions(decimal=mark), notes)["v"].tolist() == [0.5, 0.5]
    assert any(f"decimal='{mark}' does not fit column 'v'" in note for note in notes)
    notes = []
    convert(frame, ReadOptions(decimal=text[1]), notes)
    assert not any("does not fit" in note for note in notes)
