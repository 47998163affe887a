"""Date formats: inference, exact reading, writing, and reports of ambiguous order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nnzoo.data import CsvReader, Dataset, Division, load_csv
from nnzoo.data.dates.dates import DateForm
from nnzoo.data.dates.layouts import choose_date_form, find_date_forms
from nnzoo.errors import DataError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(cells: list[str], *, digits: bool = False) -> DateForm | None:
    encoded = pa.array(cells).dictionary_encode()
    forms = find_date_forms(encoded.dictionary, "auto", digits=digits)
    return choose_date_form(forms, encoded.dictionary, encoded.indices.to_numpy()).form if forms else None


def load(dates: list[str], **fields: Any) -> Dataset:
    lines = [f'"{cell}";{("a", "b", "b")[index % 3]}' for index, cell in enumerate(dates)]
    Path("d.csv").write_text("\n".join(["d;y", *lines]) + "\n", encoding="utf-8")
    return load_csv(path="d.csv", target=("y",), division=Division(0, 0), missing=("",), **fields)


def parts(dataset: Dataset) -> dict[str, list[float]]:
    return {name: dataset.train.inputs[:, index].tolist() for index, name in enumerate(dataset.feature_names)}


@pytest.mark.parametrize(
    ("cells", "layout", "first", "digits"),
    [
        (["2024-01-01T00:00:00.000Z", "2024-01-01T01:00:00.250Z"], "%Y-%m-%dT%H:%M:%S.%3f%^z", "2024-01-01", False),
        (["2024-01-01 00:00:00+01:00", "2024-07-01 00:00:00+02:00"], "%Y-%m-%d %H:%M:%S%z", "2024-01-01", False),
        (["2024/1/5", "2024/11/15"], "%Y/%-m/%-d", "2024-01-05", False),
        (["31.1.2020", "1.2.2021"], "%-d.%-m.%Y", "2020-01-31", False),
        (["31-12-99", "01-01-00"], "%d-%m-%y", "1999-12-31", False),
        (["12/31/68", "01/01/69"], "%m/%d/%y", "2068-12-31", False),
        (["January 7, 2018", "March 17, 2018"], "%B %-d, %Y", "2018-01-07", False),
        (["Jan 7, 2018", "May 17, 2018"], "%b %-d, %Y", "2018-01-07", False),
        (["7 Jan 2018", "17 May 2018"], "%-d %b %Y", "2018-01-07", False),
        (["07-JAN-18", "17-MAY-18"], "%d-%^b-%y", "2018-01-07", False),
        (["07jan2018", "17may2018"], "%d%_b%Y", "2018-01-07", False),
        (["January 7th, 2018", "March 1st, 2018"], "%B %od, %Y", "2018-01-07", False),
        (
            ["Sun, 7 Jan 2018 10:00:00 +0100", "Mon, 8 Jan 2018 11:00:00 +0100"],
            "%a, %-d %b %Y %H:%M:%S %1z",
            None,
            False,
        ),
        (["10/Oct/2000:13:55:36 -0700", "11/Oct/2000:13:55:36 -0700"], "%d/%b/%Y:%H:%M:%S %1z", None, False),
        (["01/31/2020 05:06:07 PM", "02/28/2020 12:06:07 AM"], "%m/%d/%Y %I:%M:%S %p", "2020-01-31T17:06:07", False),
        (["1/13/2020 9:05 am", "1/14/2020 10:05 pm"], "%-m/%-d/%Y %-I:%M %_p", "2020-01-13T09:05", False),
        (["10/03/2004 18.00.00", "31/03/2004 19.00.00"], "%d/%m/%Y %H.%M.%S", "2004-03-10T18:00", False),
        (["2024-W05", "2024-W06"], "%G-W%V", "2024-01-29", False),
        (["2020-W53-5", "2021-W01-1"], "%G-W%V-%u", "2021-01-01", False),
        (["2024Q1", "2024Q2"], "%YQ%q", "2024-01-01", False),
        (["Q3 2024", "Q4 2024"], "Q%q %Y", "2024-07-01", False),
        (["2024-01", "2024-02"], "%Y-%m", "2024-01-01", False),
        (["Jan 2024", "Feb 2024"], "%b %Y", "2024-01-01", False),
        (["01/2024", "02/2024"], "%m/%Y", "2024-01-01", False),
        (["20240101", "20240229"], "%Y%m%d", "2024-01-01", True),
        (["202401", "202412"], "%Y%m", "2024-01-01", True),
        (["202401010930", "202401011030"], "%Y%m%d%H%M", "2024-01-01T09:30", True),
        (["20240101093015", "20240101103000"], "%Y%m%d%H%M%S", "2024-01-01T09:30:15", True),
        (["2024010109", "2024010110"], "%Y%m%d%H", "2024-01-01T09", True),
        (["20240101T120000", "20240102T130000"], "%Y%m%dT%H%M%S", "2024-01-01T12", False),
        (["2024-01-01 00:00:00.123456789", "2024-01-01 00:00:01.000000001"], "%Y-%m-%d %H:%M:%S.%9f", None, False),
        (["18.00.00", "19.00.00"], "%H.%M.%S", "1970-01-01T18", False),
        (["6:05 PM", "11:30 AM"], "%-I:%M %p", "1970-01-01T18:05", False),
    ],
)
def test_a_format_is_inferred_read_and_written(cells: list[str], layout: str, first: str | None, digits: bool) -> None:
    form = found(cells, digits=digits)
    assert form is not None
    assert form.layout + form.time == layout
    local, offset = form.read(pa.array(cells))
    assert [form.write(each, int(ahead)) for each, ahead in zip(local, offset, strict=True)] == cells
    if first is not None:
        assert local[0] == np.datetime64(first)
    assert DateForm.model_validate_json(form.model_dump_json()) == form


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-02-30", "2024-01-01"],
        ["2023-02-29", "2024-01-01"],
        ["32.01.2024", "01.01.2024"],
        ["2024-13", "2024-01"],
        ["2021-W53", "2021-W01"],
        ["2024Q5", "2024Q1"],
        ["2024-01-01 25:00", "2024-01-01 01:00"],
        ["13:00 PM", "1:00 PM"],
        ["Monday, January 7, 2018", "Monday, January 8, 2018"],
        ["January 7, 2018", "7 January 2018"],
        ["red", "blue"],
        ["12-345-67", "12-345-68"],
        ["1.2.3", "1.2.10"],
    ],
)
def test_texts_that_are_not_dates(cells: list[str]) -> None:
    assert found(cells) is None


@pytest.mark.parametrize("cell", ["20240230", "20241301", "10000", "2024", "18991231", "21010101"])
def test_digits_that_are_not_dates(cell: str) -> None:
    assert found([cell, "20240101"[: len(cell)]], digits=True) is None


LAYOUTS = [
    *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%y", "%m/%d/%y", "%B %d, %Y", "%d %b %Y", "%d-%b-%y"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H.%M.%S"),
    *("%A, %d %B %Y", "%Y%m%dT%H%M%S"),
]
YEARS = (datetime(1969, 1, 1), datetime(2068, 12, 31))


@settings(deadline=None)
@given(st.sampled_from(LAYOUTS), st.lists(st.datetimes(*YEARS), min_size=1, max_size=30))
def test_dates_written_by_strftime_are_read_exactly(layout: str, dates: list[datetime]) -> None:
    """If the order is ambiguous, the right format is among those that match."""
    cells = [date.strftime(layout) for date in dates]
    expected = np.array([datetime.strptime(cell, layout) for cell in cells], dtype="datetime64[us]")
    labels = pa.array(cells)
    forms = find_date_forms(labels.unique(), "auto")
    right = [form for form in forms if (form.read(labels).local == expected).all()]
    assert right
    for form in right[:1]:
        assert [form.write(each) for each in form.read(labels).local] == cells
    if layout.startswith("%Y"):
        assert forms == right


@settings(deadline=None)
@given(st.lists(st.datetimes(YEARS[0], YEARS[1]), min_size=3, max_size=20), st.sampled_from([0, 60, -330, 765]))
def test_zones_are_utc_offsets_in_minutes(dates: list[datetime], minutes: int) -> None:
    zone = timedelta(minutes=minutes)
    cells = [f"{each.isoformat()}{'-' if minutes < 0 else '+'}{str(abs(zone))[:-3].zfill(5)}" for each in dates]
    form = found(cells)
    assert form is not None
    local, offset = form.read(pa.array(cells))
    expected = [datetime.fromisoformat(cell).astimezone(UTC).replace(tzinfo=None) for cell in cells]
    assert (local - offset.astype("timedelta64[m]")).tolist() == expected


@settings(deadline=None)
@given(st.dates(date(1, 1, 8), date(9999, 12, 20)))
def test_iso_weeks_are_those_of_python(day: date) -> None:
    year, week, weekday = day.isocalendar()
    cell = f"{year:04d}-W{week:02d}-{weekday}"
    assert DateForm(layout="%G-W%V-%u").read(pa.array([cell])).local[0] == np.datetime64(day)
    assert DateForm(layout="%G-W%V-%u").write(np.datetime64(day)) == cell


@settings(deadline=None)
@given(st.lists(st.dates(date(1970, 1, 1), date(2060, 12, 31)), min_size=1, max_size=10, unique=True))
def test_digits_are_dates_if_all_are(days: list[date]) -> None:
    cells = [day.strftime("%Y%m%d") for day in days]
    form = found(cells, digits=True)
    assert form is not None
    assert form.read(pa.array(cells)).local.astype("datetime64[D]").tolist() == days
    impossible = [cell[:6] + str(int(cell[6:]) + 31) for cell in cells]
    assert found([*cells, *impossible], digits=True) is None


@pytest.mark.parametrize("layout", ["%Y-%m-%d %x", "%Y-%z", "%Y-%Y", "%", "%d" * 30])
def test_a_saved_layout_is_checked(layout: str) -> None:
    with pytest.raises(ValidationError):
        DateForm(layout=layout)


MONTHLY = [f"{month:02d}/01/{year}" for year in (2019, 2020) for month in range(1, 13)]


@pytest.mark.usefixtures("here")
def test_the_order_with_regular_steps_is_chosen() -> None:
    dataset = load(MONTHLY)
    assert parts(dataset) == {
        "d year": [2019] * 12 + [2020] * 12,
        "d month": [*range(1, 13)] * 2,
        "d weekday": [float(date(year, month, 1).weekday()) for year in (2019, 2020) for month in range(1, 13)],
    }
    assert not [line for line in dataset.warnings if "date_order" in line]


@pytest.mark.usefixtures("here")
def test_an_ambiguous_order_is_reported_and_can_be_configured() -> None:
    dataset = load(MONTHLY[12:])
    assert parts(dataset)["d month"] == [*range(1, 13)]
    assert [line for line in dataset.warnings if "`data.date_order: dmy`" in line and "month first" in line]
    days = load(MONTHLY[12:], date_order="dmy")
    assert parts(days)["d day"] == [*range(1, 13)]
    months = load(MONTHLY[12:], date_order="mdy")
    assert not [line for line in (*days.warnings, *months.warnings) if "date_order" in line]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("sign", "order", "new"), [("/", "mdy", "07/25/2020"), (".", "dmy", "25.07.2020")])
def test_new_dates_are_read_in_the_order_of_training(sign: str, order: str, new: str) -> None:
    dates = ["05/04/2020", "03/09/2020", "11/02/2020", "02/12/2020", "08/08/2020"]
    dataset = load([each.replace("/", sign) for each in dates])
    reader = dataset.reader
    assert isinstance(reader, CsvReader)
    assert reader.column_forms["d"].startswith({"mdy": "month first", "dmy": "day first"}[order])
    assert [line for line in dataset.warnings if "date_order" in line]
    samples = reader.from_rows({"d": [new]}, dataset.schema)
    assert samples is not None
    assert dict(zip(dataset.feature_names, samples.inputs[0].tolist(), strict=True))["d month"] == 7
    other = sign.join([*reversed(new.split(sign)[:2]), "2020"])
    with pytest.raises(DataError, match=rf"'{other}' is not a date in the format .* train with `date_order`"):
        reader.from_rows({"d": [other]}, dataset.schema)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("dates", "names"),
    [
        (["2024-W05", "2024-W06", "2024-W20", "2025-W02"], ("d year", "d month", "d day")),
        (["2024Q1", "2024Q2", "2025Q4", "2025Q1"], ("d year", "d month")),
        (["202401", "202402", "202503", "202504"], ("d year", "d month")),
        (["20240105", "20240213", "20250314", "20240415"], ("d year", "d month", "d day", "d weekday")),
        (["18.00.00", "19.30.00", "20.00.00", "07.00.00"], ("d hour", "d minute")),
        (["18:00", "19:30", "7:00 ", "20:00"], ("d hour", "d minute")),
        (["2024", "2025", "2026", "2024"], ("d",)),
        (["1704067200", "1704067201", "1704067202", "1704067999"], ("d",)),
        (["200101", "200102", "200199", "200104"], ("d",)),
    ],
)
def test_features_of_a_date_are_its_varying_parts(dates: list[str], names: tuple[str, ...]) -> None:
    assert load(dates * 3).feature_names == names


@pytest.mark.usefixtures("here")
def test_dates_from_python_are_read_exactly() -> None:
    dataset = load(["31/12/2023", "01/02/2024", "15/03/2024"] * 2)
    assert isinstance(dataset.reader, CsvReader)
    samples = dataset.reader.from_rows({"d": [datetime(2024, 7, 4), None]}, dataset.schema)
    assert samples is not None
    assert dict(zip(dataset.feature_names, samples.inputs[0].tolist(), strict=True))["d month"] == 7


@pytest.mark.usefixtures("here")
def test_digits_that_became_floats_are_dates() -> None:
    dataset = load(["20240105", "20240213", "20250314", "20240415"] * 2)
    again = load(["20240105.0", "20240213.0", "20250314.0", "20240415.0"] * 2)
    assert parts(again) == parts(dataset)
    assert isinstance(dataset.reader, CsvReader)
    for new in ([20250704, None], [20250704.0, None], ["20250704", None], [date(2025, 7, 4), None]):
        samples = dataset.reader.from_rows({"d": new}, dataset.schema)
        assert samples is not None
        assert samples.inputs[0].tolist() == [2025, 7, 4, 4]
