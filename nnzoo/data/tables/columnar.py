"""Parquet and Arrow files, whose columns have types: their values as texts that read as the same values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from nnzoo.data.files.contents import check_size, name_of
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError

Kind = Literal["parquet", "arrow", "arrow stream", "feather"]

_MAGIC: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow stream",
    b"FEA1": "feather",
}
_CELL_BYTES = 8
_INDEX = "__index_level_"
"""How pandas calls an index without a name in a file: it is not one of the columns."""

NESTED = Repair("column", "of lists, structures or bytes", "left out", "Give it columns of plain values.")


def kind_of(start: bytes) -> Kind | None:
    """Which kind of columnar file this is, by its first bytes; None if it is another kind of file."""
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


class ColumnarFile:
    """A file of typed columns.

    Args:
        path: Of the file.
        kind: Of the file.
        data: What the file holds, if it is not to be read from its path.
        repairs: Counts columns that are left out.

    Attributes:
        names: The columns, from left to right.
        typed: Those that have numbers, times or truth values, with the cells of text among them: none.
        num_rows: Of the table.

    Raises:
        DataError: It is damaged or empty, or its few bytes claim absurdly many rows.
    """

    names_in_header = True
    left_out: Sequence[int] = ()
    choices: dict[str, object] = {}  # noqa: RUF012
    """How the file is written: nothing of it can be chosen."""

    def __init__(self, path: Path, kind: Kind, data: bytes | None, repairs: Repairs) -> None:
        self.path = path
        with self._guarded():
            self._table = _open(path, kind, data)
            schema = self._table.schema_arrow if kind == "parquet" else self._table.schema
            self.num_rows = int(self._table.metadata.num_rows if kind == "parquet" else self._table.num_rows)
        plain = [field.name for field in schema if is_plain(field.type)]
        self.typed = {field.name: frozenset[str]() for field in schema if not is_text(field.type)}
        nested = [field.name for field in schema if not is_plain(field.type)]
        repairs.add(NESTED, f"{self.where}: '{nested[0]}'" if nested else "", len(nested))
        self.names = tuple(name for name in plain if not name.startswith(_INDEX))
        if not self.names or not self.num_rows:
            raise DataError("has no columns of plain values, or no rows.", where=self.where)
        if len(set(self.names)) < len(self.names):
            raise DataError("has several columns of the same name. Rename all but one.", where=self.where)
        check_size(self.size, path.stat().st_size if data is None else len(data), self.where)

    @property
    def where(self) -> str:
        return name_of(self.path)

    @property
    def size(self) -> int:
        """About the bytes that its cells take."""
        return self.num_rows * len(self.names) * _CELL_BYTES

    @property
    def row_numbers(self) -> range:
        """The number of each row in the file, from 0."""
        return range(self.num_rows)

    def place(self, row: int) -> str:
        """What a row is called in messages."""
        return f"row {row}"

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        """The columns of these names, each a pyarrow.ChunkedArray of strings, null where there is no value.

        Raises:
            DataError: The file is damaged.
        """
        with self._guarded():
            import pyarrow as pa

            table = self._table if isinstance(self._table, pa.Table) else self._table.read(columns=[*names])
            return {name: as_text(table[name]) for name in names}

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).split("\n")[0][:200]
            problem = f"can't be read: it is damaged or incomplete ({reason}). Write it again."
            raise DataError(problem, where=self.where) from error


def _open(path: Path, kind: Kind, data: bytes | None) -> Any:
    """A pyarrow.Table, or of parquet a ParquetFile: its columns are read when they are asked for."""
    import pyarrow as pa
    from pyarrow import feather, ipc, parquet

    source = pa.memory_map(str(path)) if data is None else pa.BufferReader(data)
    if kind == "parquet":
        return parquet.ParquetFile(source)
    if kind == "feather":
        return feather.read_table(source)
    return (ipc.open_file if kind == "arrow" else ipc.open_stream)(source).read_all()


def is_plain(kind: Any) -> bool:
    """Whether values of a type are single numbers, texts, times or truth values."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return is_plain(kind.value_type)
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (pa.types.is_nested(kind) or is_bytes or isinstance(kind, pa.BaseExtensionType))


def is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def as_text(values: Any) -> Any:
    """A pyarrow.ChunkedArray of a plain type as strings that read as the same values; NaN is null.

    Dates are in ISO form: without a time of day where all are at midnight, and in UTC where they have a zone.
    """
    import pyarrow as pa
    from pyarrow import compute

    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_text(values.cast(kind.value_type))
    if pa.types.is_floating(kind):
        wide = values.cast(pa.float64())  # the texts of narrower ones are rounded
        return compute.if_else(compute.is_nan(wide), pa.scalar(None, pa.float64()), wide).cast(pa.string())
    if pa.types.is_date64(kind):
        return values.cast(pa.date32()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        return _times_as_text(values)
    if pa.types.is_time(kind):
        seconds = values.cast(pa.time32("s"), safe=False)
        is_whole = compute.all(compute.equal(seconds.cast(kind), values)).as_py() is not False
        return (seconds if is_whole else values).cast(pa.string())
    if pa.types.is_duration(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return compute.divide(values.cast(pa.int64()).cast(pa.float64()), float(per_second)).cast(pa.string())
    return values.cast(pa.string())


def _times_as_text(values: Any) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    zone = "" if values.type.tz is None else "Z"
    times = values.cast(pa.timestamp(values.type.unit))
    days, seconds = times.cast(pa.date32(), safe=False), times.cast(pa.timestamp("s"), safe=False)
    if not zone and compute.all(compute.equal(days.cast(times.type), times)).as_py() is not False:
        return days.cast(pa.string())
    if compute.all(compute.equal(seconds.cast(times.type), times)).as_py() is not False:
        times = seconds
    texts = compute.replace_substring(times.cast(pa.string()), " ", "T")
    return compute.binary_join_element_wise(texts, zone, "") if zone else texts
