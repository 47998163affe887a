"""Cell formats: numbers, booleans, categories and dates, and which cells are equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnzoo.cli.app import run
from nnzoo.data import CsvReader, Dataset, Division, load_csv, load_text
from nnzoo.errors import DataError

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(columns: dict[str, list[str]], target: str = "y", delimiter: str = ";", **fields: Any) -> Dataset:
    """Returns the dataset of columns, with quoted cells."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    lines = (delimiter.join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in rows)
    Path("d.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = {"missing": ("", "NA"), "division": WHOLE, **fields}
    return load_csv(path="d.csv", target=target.split("+"), **words)


def feature(dataset: Dataset, name: str) -> list[float]:
    return dataset.train.inputs[:, dataset.feature_names.index(name)].tolist()


def reader_of(dataset: Dataset) -> CsvReader:
    assert isinstance(dataset.reader, CsvReader)
    return dataset.reader


def labels(count: int) -> list[str]:
    return [("no", "yes", "yes")[index % 3] for index in range(count)]


def predicted(dataset: Dataset, **columns: list[Any]) -> list[list[float]]:
    samples = reader_of(dataset).from_rows(columns, dataset.schema)
    assert samples is not None
    return samples.inputs.tolist()


@pytest.mark.parametrize(
    ("cells", "values", "form"),
    [
        (["1,5", "2,75", "3,10", "-0,25"], [1.5, 2.75, 3.1, -0.25], "decimal comma"),
        (["1.234,5", "2,75", "12.345.678"], [1234.5, 2.75, 12345678], "decimal comma, thousands with '.'"),
        (["1,234.5", "2.75", "12,345,678"], [1234.5, 2.75, 12345678], "thousands with ','"),
        (["1,23,456.50", "99", "12,34,567"], [123456.5, 99, 1234567], "thousands with ','"),
        (["1 234,5", "2,75", "12 345 678"], [1234.5, 2.75, 12345678], "decimal comma, thousands with spaces"),
        (["1\u202f234,5", "2,75", "12\u00a0345\u00a0678"], [1234.5, 2.75, 12345678], "decimal comma, thousands with"),
        (["1'234.5", "2.75", "12\u2019345\u2019678"], [1234.5, 2.75, 12345678], "thousands with '"),
        (["$1,200.50", "$3", "-$4.25"], [1200.5, 3, -4.25], "thousands with ',', $"),
        (["1.200,50 €", "3 €", "-4,25€"], [1200.5, 3, -4.25], "decimal comma, thousands with '.', €"),
        (["EUR 5.5", "EUR 7", "eur 9"], [5.5, 7, 9], "EUR"),
        (["CHF 1'200.50", "CHF 3.10", "1.00"], [1200.5, 3.1, 1], "thousands with ', CHF"),
        (["20%", "5 %", "12.5%"], [20, 5, 12.5], "percent"),
        (["(1,234.50)", "20.00", "(3.25)"], [-1234.5, 20, -3.25], "thousands with ','"),
        (["($1,234.50)", "$20.00"], [-1234.5, 20], "thousands with ',', $"),
        (["\u22125.5", "3", "\u22121e3"], [-5.5, 3, -1000], ""),
        (["1.5E+03", "2e-1", "7"], [1500, 0.2, 7], ""),
        (["1,5e3", "2,5E-1"], [1500, 0.25], "decimal comma"),
        (["12 kg", "3.5kg", "7 Kg"], [12, 3.5, 7], "kg"),
        (["3,5 km/h", "-7 km/h"], [3.5, -7], "decimal comma, km/h"),
        (["90 m2", "120 m2"], [90, 120], "m2"),
        (["19M", "201k", "850", "1.5B"], [19e6, 201e3, 850, 1.5e9], "k, M and B multiply"),
        (["$1.2M", "$3k"], [1.2e6, 3000], "$, k, M and B multiply"),
        (["+5", ".5", "5."], [5, 0.5, 5], ""),
    ],
)
def test_number_formats_are_inferred(cells: list[str], values: list[float], form: str) -> None:
    dataset = load({"x": cells * 4, "y": labels(4 * len(cells))})
    assert reader_of(dataset).column_types == {"x": "number"}
    assert feature(dataset, "x") == values * 4
    assert reader_of(dataset).column_forms.get("x", "").startswith(form)
    assert not [warning for warning in dataset.warnings if "read as" in warning]
    assert predicted(dataset, x=cells) == [[value] for value in values]
    target = load({"x": labels(len(cells)), "y": cells}, task="regression")
    assert target.train.targets.flatten().tolist() == values


@pytest.mark.parametrize(
    "cells",
    [
        ["00501", "10001", "02139"],
        ["007", "042", "100"],
        ["c0", "c1", "c2"],
        ["1st", "2nd", "3rd"],
        ["18-24", "25-34", "35-44"],
        ["1.2.3", "1.2.10", "2.0.1"],
        ["$5", "€7", "£9"],
        ["12 kg", "5 lb", "7 kg"],
        ["192.168.0.1", "10.0.0.1", "10.0.0.2"],
        ["20%", "0.2", "5%"],
        ["0x1F", "0x20", "0x2A"],
        ["1_0", "2_0", "3_0"],
        ["nan2", "inf", "Infinity"],
    ],
)
def test_identifiers_are_not_numbers(cells: list[str]) -> None:
    dataset = load({"x": cells * 4, "y": labels(4 * len(cells))})
    assert reader_of(dataset).column_types == {"x": "category"}
    assert sorted(dataset.feature_names) == sorted(f"x={name}" for name in cells)


@pytest.mark.parametrize(
    ("cells", "delimiter", "values", "key"),
    [
        (["1,234", "5,678", "2,500"], ",", [1234, 5678, 2500], {"decimal": ","}),
        (["1,234", "5,678", "2,500"], "\t", [1234, 5678, 2500], {"decimal": ","}),
        (["1,234", "5,678", "2,500"], ";", [1.234, 5.678, 2.5], {"thousands": ","}),
        (["1.234", "5.678", "2.500"], ";", [1.234, 5.678, 2.5], {"thousands": "."}),
        (["€1.234", "€5.678", "€2.500"], ",", [1234, 5678, 2500], {"decimal": "."}),
    ],
)
def test_ambiguous_cells_are_reported_with_the_config_key(
    cells: list[str], delimiter: str, values: list[float], key: dict[str, str]
) -> None:
    columns = {"x": cells * 4, "y": labels(12)}
    dataset = load(columns, delimiter=delimiter)
    assert feature(dataset, "x") == values * 4
    (name, sign), *_ = key.items()
    assert [
        line for line in dataset.warnings if f"'{cells[0]}', read as" in line and f'`data.{name}: "{sign}"`' in line
    ]
    other = load(columns, delimiter=delimiter, **key)
    assert feature(other, "x") == [value * 1000 if value < 100 else value / 1000 for value in values * 4]
    assert not [line for line in other.warnings if "read as" in line]


@pytest.mark.parametrize("cells", [["1.234", "0.5", "7.25"], ["1.5", "2"], ["0,482", "1,234"], ["12,5", "1,234"]])
def test_unambiguous_cells_are_not_reported(cells: list[str]) -> None:
    dataset = load({"x": cells * 4, "y": labels(4 * len(cells))})
    assert feature(dataset, "x") == [float(cell.replace(",", ".")) for cell in cells * 4]
    assert not [line for line in dataset.warnings if "read as" in line]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("open_cells", "sure", "values", "told"),
    [
        (["1,234", "5,678"], "0,5", [1.234, 5.678], ",\t"),
        (["1,234", "5,678"], "0.5", [1234, 5678], ";"),
        (["1.234", "5.678", "12"], "12,25", [1234, 5678, 12], ";\t"),
        (["1.234", "5.678", "12"], "12.25", [1.234, 5.678, 12], ""),
        (["1.234 €", "5.678 €"], "0,5", [1234, 5678], ""),
        (["1.234 €", "5.678 €"], "0.5", [1.234, 5.678], ",;\t"),
    ],
)
def test_another_column_resolves_an_ambiguity_with_a_warning_if_it_overrides(
    delimiter: str, open_cells: list[str], sure: str, values: list[float], told: str
) -> None:
    if delimiter == "," and sure == "12,25":
        values = [1.234, 5.678, 12]  # quoted cells with commas are no evidence for these
    rows = {"x": open_cells * 4, "z": [sure, "3"] * (2 * len(open_cells)), "y": labels(4 * len(open_cells))}
    dataset = load(rows, delimiter=delimiter)
    assert feature(dataset, "x") == values * 4
    assert feature(dataset, "z")[0] == float(sure.replace(",", "."))
    doubts = [line for line in dataset.warnings if "column 'x'" in line and "read as" in line]
    assert len(doubts) == (delimiter in told)


def test_lists_in_quotes_say_nothing_about_decimal_points() -> None:
    weights = [f"{1 + 0.123 * index:.3f}" for index in range(60)]
    lines = [f'"{index % 5},{index % 4}",{index % 7},{each}' for index, each in enumerate(weights)]
    Path("d.csv").write_text("parts,z,kg\n" + "\n".join(lines) + "\n")
    dataset = load_csv(path="d.csv", target=["kg"], division=WHOLE)
    assert dataset.task == "regression"
    assert dataset.train.targets.flatten().tolist() == [float(each) for each in weights]
    (warning,) = dataset.warnings
    assert warning.startswith("column 'parts' has numbers with a decimal comma such as '0,0', while other columns have")
    names = load_csv(path="d.csv", target=["kg"], division=WHOLE, types={"parts": "category"})
    assert (names.warnings, reader_of(names).column_types["parts"]) == ((), "category")
    assert load_csv(path="d.csv", target=["kg"], division=WHOLE, types={"parts": "number"}).warnings == ()


def test_a_cell_in_another_format_is_named_at_predict() -> None:
    dataset = load({"price": ["1,5", "2,75", "3,1"] * 4, "y": labels(12)})
    with pytest.raises(DataError, match=r"column 'price'.*'1,234.5' is not a number in the format .*decimal comma"):
        predicted(dataset, price=["1,5", "1,234.5"])
    Path("new.csv").write_text("price;z\n1,5;0\n$7;1\n")
    with pytest.raises(DataError, match=r"new\.csv: line 3: column 'price': '\$7' is not a number") as caught:
        reader_of(dataset).read([Path("new.csv")], dataset.schema, labelled=False)
    assert "`decimal`" in str(caught.value)


def test_numbers_from_python_are_read_exactly() -> None:
    dataset = load({"price": ["1.200,5 €", "2,75 €", "3,1 €"] * 4, "y": labels(12)})
    assert predicted(dataset, price=[1234.5, 1.234]) == [[1234.5], [1.234]]
    assert predicted(dataset, price=["1.234,5 €", "1.234"]) == [[1234.5], [1234]]


@pytest.mark.parametrize(
    "cells",
    [
        ["true", "False", "TRUE", "false"],
        ["T", "F", "True", "false"],
        ["yes", "No", "Y", "n"],
        ["on", "OFF", "On", "off"],
        ["1", "FALSE", "true", "0.0"],
    ],
)
def test_booleans_in_every_spelling(cells: list[str]) -> None:
    dataset = load({"x": cells * 3, "y": labels(12)})
    assert feature(dataset, "x") == [1, 0, 1, 0] * 3
    spelled = ["yes", "0", "ON", "f", "1.0", "FALSE"]
    assert predicted(dataset, x=spelled) == [[1], [0], [1], [0], [1], [0]]
    assert predicted(dataset, x=[True, False]) == [[1], [0]]
    target = load({"x": [str(index) for index in range(12)], "y": cells * 3})
    assert (target.task, len(target.classes)) == ("classification", 2)
    assert target.train.targets.tolist() in ([1, 0, 1, 0] * 3, [0, 1, 0, 1] * 3)


@pytest.mark.parametrize("cells", [["t", "y", "n"], ["yes", "no", "maybe"], ["y", "f", "n"], ["NO", "SE", "DK"]])
def test_letters_that_only_look_like_booleans_are_categories(cells: list[str]) -> None:
    assert len(load({"x": cells * 4, "y": labels(12)}).feature_names) == 3


def test_a_column_of_0_and_1_accepts_true_and_false() -> None:
    dataset = load({"x": ["0", "1", "1", "0"] * 3, "y": labels(12)})
    assert reader_of(dataset).column_types == {"x": "number"}
    assert predicted(dataset, x=["true", "No", "1.0"]) == [[1], [0], [1]]
    assert predicted(dataset, x=[True, False]) == [[1], [0]]


def test_equal_spellings_are_one_class_or_category() -> None:
    rows = {"k": ["1", "2", "3"] * 4 + ["1.0", "2.0", "3.00"] * 4, "y": ["0", "1"] * 6 + ["0.0", "1.0"] * 6}
    dataset = load(rows, categorical=("k",), target="y")
    assert dataset.classes == ("0", "1")
    assert dataset.feature_names == ("k=1", "k=2", "k=3")
    assert dataset.train.targets.tolist() == [0, 1] * 12
    assert predicted(dataset, k=["1e+0", "+2", 3.0, "3", "4"]) == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]


@pytest.mark.parametrize("first", [123456789012345678, 2**53, 10**30])
def test_integers_of_any_size_differ_if_a_digit_differs(first: int) -> None:
    ids = [str(first + step) for step in range(4)]
    dataset = load({"id": ids * 4, "y": labels(16)}, categorical=("id",))
    assert dataset.feature_names == tuple(f"id={each}" for each in ids)
    assert predicted(dataset, id=[str(first + 4), ids[1]]) == [[0, 0, 0, 0], [0, 1, 0, 0]]
    classes = load({"x": labels(16), "y": ids * 4}, task="classification")
    assert classes.classes == tuple(ids)
    twice = {"id": ids * 2, "y": ["a", "b", "b", "a"] * 2}
    assert len(load(twice, categorical=("id",), division=Division(0, 0, deduplicate=True)).train) == 4
    grouped = load(
        {"id": ids * 4, "x": [str(index) for index in range(16)], "y": labels(16)},
        division=Division(0.25, 0.25, stratify=False, group="id"),
    )
    assert len(grouped.splits["test"]) == 4


def test_integers_that_are_equal_in_float64_are_reported() -> None:
    ids = [str(123456789012345678 + step) for step in range(3)]
    with pytest.raises(DataError, match="integers that are equal in float64"):
        load({"id": ids * 4, "y": labels(12)})
    dataset = load({"id": [*ids, "5"] * 4, "y": labels(16)})
    assert any("`categorical: [id]` distinguishes them" in line for line in dataset.warnings)


def test_large_numbers_with_small_differences_are_kept() -> None:
    cells = ["1700000026", "1700000029", "1000000000", "1000000003"]
    dataset = load({"x": cells * 3, "y": labels(12)})
    assert feature(dataset, "x") == [float(cell) for cell in cells * 3]
    target = load({"x": labels(12), "y": [f"17000000{index:02d}.25" for index in range(12)]})
    assert target.train.targets.flatten().tolist() == [1700000000.25 + index for index in range(12)]
    near = load({"x": ["1000000000", "1000000003"] * 6, "y": labels(12)})
    assert near.feature_names == ("x",)
    assert len(load({"x": cells * 3, "y": ["a"] * 6 + ["b"] * 6}, division=Division(0, 0, deduplicate=True)).train) == 8


def test_equal_rows_in_other_spellings_are_dropped() -> None:
    rows = {
        "x": ["1,50", "1,5", "2,0", "2"],
        "d": ["1.2.2024", "01.02.2024", "3.2.2024", "4.2.2024"],
        "b": ["yes", "Yes", "no", "no"],
        "y": ["a", "a", "b", "b"],
    }
    assert load(rows, division=Division(0, 0, deduplicate=True)).train.rows.tolist() == [0, 2, 3]  # type: ignore[union-attr]


def test_a_target_with_decimal_commas_is_a_number() -> None:
    prices = [f"{index % 31},{index % 10}0" for index in range(93)]
    dataset = load({"x": [str(index) for index in range(93)], "y": prices})
    assert dataset.task == "regression"
    assert dataset.train.targets.flatten().tolist() == [float(price.replace(",", ".")) for price in prices]


def test_many_classes_that_look_like_numbers_are_reported() -> None:
    cells = [("{},5", "{}.5", "{}%")[index % 3].format(index) for index in range(39)]
    rows = {"x": [str(index) for index in range(78)], "y": cells * 2}
    dataset = load(rows)
    assert dataset.task == "classification"
    assert any("has 39 classes, most of which look like numbers in different" in line for line in dataset.warnings)
    asked = load(rows, task="classification")
    assert not any("look like numbers" in line for line in asked.warnings)


def test_types_override_inference() -> None:
    rows = {"zip": ["00501", "10001"] * 6, "n": ["1", "2", "3"] * 4, "b": ["1", "0"] * 6, "y": labels(12)}
    dataset = load(rows, types={"zip": "number", "n": "category", "b": "boolean"})
    assert reader_of(dataset).column_types == {"zip": "number", "n": "category", "b": "boolean"}
    assert feature(dataset, "zip") == [501, 10001] * 6
    with pytest.raises(DataError, match="column 'b': '2' is not a boolean"):
        predicted(dataset, zip=["00501"], n=["1"], b=["2"])
    with pytest.raises(DataError, match=r"line 2: column 'y': 'no' is not a number"):
        load({**rows, "z": rows["zip"]}, target="z", types={"y": "number"})
    dated = load({"d": ["202401", "202402"] * 6, "y": labels(12)}, types={"d": "date"})
    assert dated.feature_names == ("d month",)
    with pytest.raises(DataError, match="declares these cells as dates"):
        load({"d": ["red", "blue"] * 6, "y": labels(12)}, types={"d": "date"})


def test_the_format_is_saved_with_the_reader() -> None:
    cells = ["1.234,5 €", "2,75 €", "12.345.678 €"]
    rows = {"x": cells * 4, "d": ["01/31/2024", "02/01/2024", "03/01/2024"] * 4, "y": labels(12)}
    dataset = load(rows)
    again = CsvReader.model_validate_json(reader_of(dataset).model_dump_json())
    assert again == reader_of(dataset)
    assert again.column_forms == {"x": "decimal comma, thousands with '.', €", "d": "month first, %m/%d/%Y"}


def test_medians_are_exact() -> None:
    dataset = load({"x": ["1700000001", "", "1700000003", "1700000005"] * 3, "y": labels(12)})
    assert feature(dataset, "x")[1] == 1700000003
    assert dataset.train.inputs.numpy().dtype == np.float64


def test_a_class_can_be_given_as_a_number() -> None:
    rows = {"x": [str(index) for index in range(24)], "y": [str(index / 2) for index in range(12)] * 2}
    assert load(rows).task == "regression"
    dataset = load(rows, types={"y": "category"})
    assert (dataset.task, dataset.classes[:3]) == ("classification", ("0.0", "0.5", "1.0"))


def test_classes_of_texts_are_equal_by_the_same_rule() -> None:
    Path("t.csv").write_text("text,label\n" + "good one,1\nbad one,0\ngood two,1.0\nbad two,0.0\n" * 3)
    Path("new.csv").write_text("text,label\ngood,True\nbad,false\n")
    dataset = load_text(path="t.csv", text="text", target="label", division=WHOLE, test_path="new.csv")
    assert dataset.classes == ("0", "1")
    assert dataset.train.targets.tolist() == [1, 0] * 6
    assert dataset.splits["test"].targets.tolist() == [1, 0]


PRICES = "when;price;note;y\n" + "".join(
    f"{month:02d}/{14 + month}/2024;{month},50 €;{('a', 'b')[month % 2]};{('no', 'yes', 'yes')[month % 3]}\n"
    for month in [*range(1, 13)] * 3
)


def test_the_doctor_shows_types_and_formats(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.csv").write_text(PRICES, encoding="utf-8")
    Path("c.yaml").write_text("data: {name: csv, path: d.csv, target: y}\nmodel: linear\n")
    run(["doctor", "c.yaml"])
    shown = capsys.readouterr().out.splitlines()
    assert "price: number (decimal comma, €)" in shown
    assert "when: date (month first, %m/%d/%Y)" in shown
    assert "category: note" in shown
    run(["doctor", "c.yaml", "--json"])
    data = json.loads(capsys.readouterr().out)
    found = data.get("data") or data["error"]["result"]["data"]
    assert found["types"] == {"when": "date", "price": "number", "note": "category"}
    assert found["forms"] == {"when": "month first, %m/%d/%Y", "price": "decimal comma, €"}


def test_predict_and_eval_use_the_inferred_formats(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.csv").write_text(PRICES, encoding="utf-8")
    Path("c.yaml").write_text("data: {name: csv, path: d.csv, target: y}\nmodel: linear\ntrain: {epochs: 1}\nname: r\n")
    assert run(["train", "c.yaml", "-q"]) == 0
    Path("new.csv").write_text("y;price;when;note\nyes;1.5;01/15/2024;a\n", encoding="utf-8")
    capsys.readouterr()
    assert run(["predict", "r", "new.csv"]) == 3
    error = capsys.readouterr().err
    assert "new.csv: line 2: column 'price': '1.5' is not a number in the format" in error
    assert "(decimal comma, €)" in error
    Path("new.csv").write_text("y;price;when;note\nTRUE;1,5;01/15/2024;a\nNo;1,5;02/16/2024;a\n", encoding="utf-8")
    assert run(["eval", "r", "--data", "new.csv"]) == 0


def test_the_config_keys_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.csv").write_text(PRICES, encoding="utf-8")
    config = "data: {{name: csv, path: d.csv, target: y, {}}}\nmodel: linear\ntrain: {{epochs: 1}}\n"
    for words, code, message in (
        ('decimal: ",", thousands: ","', 2, "data.thousands: ',' is also the decimal separator"),
        ("types: {price: text}", 2, "data.types"),
        ("types: {price: number}, ignore: [price]", 2, "'price' is also given as ignore"),
        ("types: {note: number}, categorical: [note]", 2, "'note' is also given as categorical"),
        ("types: {prize: number}", 3, "has no column 'prize'"),
        ("date_order: dmy", 0, "'01/15/2024' (month first, %m/%d/%Y), which do not match `date_order: dmy`"),
        ('decimal: ",", types: {note: category}', 0, ""),
    ):
        Path("c.yaml").write_text(config.format(words))
        assert run(["train", "c.yaml", "-q"]) == code
        assert message in capsys.readouterr().err
