"""The order of day, month and year in the dates of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nnzoo.data.dates.dates import DateForm, DateOrder
from nnzoo.data.dates.layouts import choose_date_form, find_date_forms
from nnzoo.data.tables.cells import Cells
from nnzoo.data.tables.finding import labels_of
from nnzoo.suggestion.suggestion import Suggestion, printable

_WORDS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}


class DateOrders(NamedTuple):
    """The orders in which the dates of a column can be read.

    Attributes:
        name: The name of the column.
        example: A cell.
        layout: The layout of the chosen order.
        orders: The orders that fit every cell, the chosen one first.
        is_sure: Whether only one fits, or the steps and the sorting of the rows show which is right.
    """

    name: str
    example: str
    layout: str
    orders: tuple[DateOrder, ...]
    is_sure: bool


def orders_of(cells: Cells, form: DateForm) -> DateOrders | None:
    """Returns the orders in which the dates of a column can be read; None if day, month and year are not all numbers.

    Args:
        cells: A column of dates.
        form: The format that is used without `date_order`.
    """
    if form.order is None or cells.plain is not None:
        return None
    labels = labels_of(cells, np.arange(len(cells)))
    forms = find_date_forms(labels.texts, "auto")
    if not forms:
        return None
    chosen, is_ambiguous = choose_date_form(forms, labels.texts, labels.of_rows)
    orders = [each.order for each in (chosen, *forms) if each.order is not None]
    return DateOrders(
        cells.name, str(labels.texts[0].as_py()), chosen.layout, tuple(dict.fromkeys(orders)), not is_ambiguous
    )


def set_date_order(suggestion: Suggestion, columns: Iterable[DateOrders | None], *, decimal_comma: bool) -> None:
    """Sets `data.date_order` if the dates, or the habits of the country that they come from, show the order.

    A training split may have only dates that fit several orders, even if the whole file shows the right one.

    Args:
        suggestion: The config.
        columns: The dates of each column that is used; None for other columns.
        decimal_comma: Whether the file has numbers with a decimal comma, or cells that are separated by semicolons.
    """
    dates = [each for each in columns if each is not None]
    shown = {each.orders[0]: each for each in dates if each.is_sure}
    unsure = [each for each in dates if not each.is_sure]
    if len(shown) > 1 or not dates:
        return
    if shown:
        order, column = next(iter(shown.items()))
        if any(order not in each.orders for each in unsure):
            return
        if order != "ymd" or unsure:
            why = f"dates such as {printable(column.example)} in {printable(column.name)} are {_WORDS[order]}"
            suggestion.set("data.date_order", order, why)
        return
    column = unsure[0]
    can_be_day_first = all("dmy" in each.orders for each in unsure)
    if can_be_day_first and ("." in column.layout or decimal_comma):
        known = "dates with dots" if "." in column.layout else "dates in files with decimal commas or semicolons"
        suggestion.set("data.date_order", "dmy", f"{printable(column.example)}: {known} have the day first; else mdy")
        return
    suggestion.warnings.append(
        f"column '{printable(column.name)}' has dates of ambiguous order: {printable(column.example)} is read as "
        f"{_WORDS[column.orders[0]]}. Set `data.date_order`: {' or '.join(column.orders)}"
    )
