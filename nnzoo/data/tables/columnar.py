"""Parquet, Arrow and JSON Lines files. Typed values are converted to strings that parse to the same values."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from nnzoo.data.files.contents import check_size, name_of
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError

Kind = Literal["parquet", "arrow", "arrow stream", "feather", "json lines"]

_MAGIC: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow stream",
    b"FEA1": "feather",
}
_JSON_OBJECT = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')
_JSON_BLOCK_BYTES = 2**24
"""The maximum size of a row in a JSON Lines file."""
_CELL_BYTES = 8
_INDEX = "__index_level_"
"""The prefix that pandas gives to an index without a name, which is not a data column."""

NESTED = Repair("column", "of lists, structs or bytes", "left out", "Convert it to columns of scalar values.")


def kind_of(start: bytes) -> Kind | None:
    """Returns the type of a columnar file, by its first bytes; None for other files."""
    known = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    return "json lines" if known is None and _is_json_lines(start) else known


def _is_json_lines(start: bytes) -> bool:
    """Returns whether the first line is a JSON object, as far as it is known."""
    if _JSON_OBJECT.match(start) is None:
        return False
    first, end, _ = start.strip().partition(b"\n")
    try:
        return not end or isinstance(json.loads(first.decode("utf-8-sig")), dict)
    except ValueError:
        return False


class ColumnarFile:
    """A file of typed columns.

    Args:
        path: The path of the file.
        kind: The type of the file.
        data: The content of the file; None to read it from the path.
        repairs: Counts columns that are left out.

    Attributes:
        names: The column names, from left to right.
        typed: The columns of numbers, times or booleans, each with an empty set: none of their cells are strings.
        categorical: Categorical columns.
        num_rows: The number of rows.

    Raises:
        DataError: The file is damaged or empty, or has far more rows than its size allows.
    """

    names_in_header = True
    left_out: Sequence[int] = ()
    choices: dict[str, object] = {}  # noqa: RUF012
    """The format of the file by config key. No key applies to columnar files."""

    def __init__(self, path: Path, kind: Kind, data: bytes | None, repairs: Repairs) -> None:
        self.path = path
        with self._guarded():
            self._table = _open(path, kind, data)
            schema = self._table.schema_arrow if kind == "parquet" else self._table.schema
            self.num_rows = int(self._table.metadata.num_rows if kind == "parquet" else self._table.num_rows)
            self.categorical = _categorical(schema)
        plain = [field.name for field in schema if is_plain(field.type)]
        self.typed = {field.name: frozenset[str]() for field in schema if not is_text(field.type)}
        nested = [field.name for field in schema if not is_plain(field.type)]
        repairs.add(NESTED, f"{self.where}: '{nested[0]}'" if nested else "", len(nested))
        self.names = tuple(name for name in plain if not name.startswith(_INDEX))
        if not self.names or not self.num_rows:
            raise DataError("has no columns of scalar values, or no rows.", where=self.where)
        if len(set(self.names)) < len(self.names):
            raise DataError("has several columns with the same name. Rename all but one.", where=self.where)
        check_size(self.size, path.stat().st_size if data is None else len(data), self.where)

    @property
    def where(self) -> str:
        return name_of(self.path)

    @property
    def size(self) -> int:
        """The approximate size of the cells in bytes."""
        return self.num_rows * len(self.names) * _CELL_BYTES

    @property
    def row_numbers(self) -> range:
        """The index of each row in the file."""
        return range(self.num_rows)

    def place(self, row: int) -> str:
        """Returns the name of a row for messages."""
        return f"row {row}"

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns columns by name, each a pyarrow.ChunkedArray of strings, null if missing.

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
        except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
            reason = str(error).split("\n")[0][:200]
            problem = f"can't be read: it is damaged or incomplete ({reason}). Save it again."
            raise DataError(problem, where=self.where) from error


def _open(path: Path, kind: Kind, data: bytes | None) -> Any:
    """Returns a pyarrow.Table, or for Parquet a ParquetFile, which reads columns on demand."""
    import pyarrow as pa
    from pyarrow import feather, ipc, parquet

    source = pa.memory_map(str(path)) if data is None else pa.BufferReader(data)
    if kind == "parquet":
        return parquet.ParquetFile(source)
    if kind == "json lines":
        from pyarrow import json as json_lines

        return json_lines.read_json(source, json_lines.ReadOptions(block_size=_JSON_BLOCK_BYTES))
    if kind == "feather":
        return feather.read_table(source)
    return (ipc.open_file if kind == "arrow" else ipc.open_stream)(source).read_all()


def _categorical(schema: Any) -> tuple[str, ...]:
    """Returns the categorical columns: dictionaries, and numeric categories, which only the pandas metadata marks."""
    import pyarrow as pa

    columns = (schema.pandas_metadata or {}).get("columns", ())
    by_pandas = [each.get("field_name") for each in columns if each.get("pandas_type") == "categorical"]
    return tuple(each.name for each in schema if pa.types.is_dictionary(each.type) or each.name in by_pandas)


def is_plain(kind: Any) -> bool:
    """Returns whether values of a type are scalars: numbers, strings, times or booleans."""
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
    """Returns a pyarrow.ChunkedArray of scalars as strings that parse to the same values; NaN becomes null.

    Dates have ISO format, without a time of day if all are at midnight. If they have a time zone, they are local times
    with the offset from UTC.
    """
    import pyarrow as pa
    from pyarrow import compute

    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_text(values.cast(kind.value_type))
    if pa.types.is_floating(kind):
        wide = values.cast(pa.float64())  # strings of narrower types are rounded
        return compute.if_else(compute.is_nan(wide), pa.scalar(None, pa.float64()), wide).cast(pa.string())
    if pa.types.is_date64(kind):
        return values.cast(pa.date32()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        return _times_as_text(values)
    if pa.types.is_time(kind):
        seconds = values.cast(pa.time32("s"), safe=False)
        has_whole_seconds = compute.all(compute.equal(seconds.cast(kind), values)).as_py() is not False
        return (seconds if has_whole_seconds else values).cast(pa.string())
    if pa.types.is_duration(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return compute.divide(values.cast(pa.int64()).cast(pa.float64()), float(per_second)).cast(pa.string())
    return values.cast(pa.string())


def _times_as_text(values: Any) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    has_zone = values.type.tz is not None
    utc = values.cast(pa.timestamp(values.type.unit))
    times = compute.local_timestamp(values) if has_zone else utc
    offsets = _offsets_as_text(times, utc) if has_zone else None
    days, seconds = times.cast(pa.date32(), safe=False), times.cast(pa.timestamp("s"), safe=False)
    if not has_zone and compute.all(compute.equal(days.cast(times.type), times)).as_py() is not False:
        return days.cast(pa.string())
    if compute.all(compute.equal(seconds.cast(times.type), times)).as_py() is not False:
        times = seconds
    texts = compute.replace_substring(times.cast(pa.string()), " ", "T")
    return compute.binary_join_element_wise(texts, offsets, "") if has_zone else texts


def _offsets_as_text(local: Any, utc: Any) -> Any:
    """Returns the offsets of local times from UTC, such as +02:00, or Z."""
    import pyarrow as pa
    from pyarrow import compute

    second = pa.timestamp("s")
    moments = [times.cast(second, safe=False).cast(pa.int64()) for times in (local, utc)]
    ahead = compute.subtract(*moments)
    seconds = [each for each in compute.unique(ahead).to_pylist() if each is not None]
    names = [f"{'-' if each < 0 else '+'}{abs(each) // 3600:02d}:{abs(each) // 60 % 60:02d}" for each in seconds]
    names = [name if name != "+00:00" else "Z" for name in names]
    return compute.take(pa.array(names, pa.string()), compute.index_in(ahead, value_set=pa.array(seconds, pa.int64())))
