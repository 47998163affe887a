"""Opens the database of a sweep. Only this module and `study` import Optuna."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnzoo.errors import RunError, UsageError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage

DATABASE = "sweep.db"
INSTALL = "pip install 'nnzoo[sweep]'"
HEARTBEAT, GRACE = 20, 120
"""Seconds between the signs of life of a running trial, and until a silent one is given to another process."""
_DISTURBED = ("already exists", "UNIQUE constraint", "duplicate key", "Duplicate entry")
LOCKED_SECONDS = 60
"""How long a process waits for others that write to the same SQLite file."""


class _Connection(sqlite3.Connection):
    """A connection whose commits do not wait for the disk: a crash of the machine may lose the last trials."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def check_installed() -> None:
    """Raises UsageError if Optuna is missing, and silences its log."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError(f"Optuna must be installed for a sweep ({error}). Run: {INSTALL}.", where="sweep") from None
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """A context manager that hides Optuna's warnings, such as those about experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def database_errors(name: str) -> Iterator[None]:
    """A context manager that raises RunError if the database can't be read or written.

    Args:
        name: The name of the sweep.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        # Optuna's own error does not say why.
        cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
        raise RunError(
            f"the database failed: {_first_line(cause)}. Check that it can be written and that the disk is not full. "
            "The same command continues.",
            where=name,
        ) from None


def open_storage(url: str | None, folder: Path) -> RDBStorage:
    """Opens the database.

    Args:
        url: A URL of SQLAlchemy, as Optuna takes it; None for an SQLite file in the directory of the sweep.
        folder: The directory of the sweep.

    Raises:
        UsageError: The URL is not valid, or its driver is not installed.
        RunError: The database can't be opened.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    address = f"sqlite:///{folder / DATABASE}" if url is None else url
    shown = str(folder / DATABASE) if url is None else hidden(url)
    engine: dict[str, Any] = {}
    if address.startswith("sqlite"):
        engine = {"connect_args": {"timeout": LOCKED_SECONDS, **({"factory": _Connection} if url is None else {})}}
    for attempt in range(5):
        try:
            with silent():
                return RDBStorage(address, engine_kwargs=engine, heartbeat_interval=HEARTBEAT, grace_period=GRACE)
        except (ArgumentError, ImportError) as error:
            raise UsageError(
                f"can't be used as a database ({_first_line(error)}). Expected a URL such as "
                "postgresql://user@host/name or sqlite:///file.db.",
                where=shown,
            ) from None
        except SQLAlchemyError as error:
            # Two processes that create the tables at the same time disturb each other.
            if attempt == 4 or not any(text in str(error) for text in _DISTURBED):
                hint = " Restore it, or start another sweep with --name." if "not a database" in str(error) else ""
                raise RunError(f"the database can't be opened: {_first_line(error)}.{hint}", where=shown) from None
            time.sleep(0.5)
    raise AssertionError


def hidden(url: str) -> str:
    """Returns a URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "storage"


def _first_line(error: BaseException) -> str:
    return str(error).split("\n")[0].rstrip(".")


def direction_of(mode: str) -> Literal["minimize", "maximize"]:
    """Returns Optuna's name of a mode."""
    return "minimize" if mode == "min" else "maximize"


def create_or_load(storage: RDBStorage, name: str, mode: str) -> tuple[optuna.Study, bool]:
    """Returns the study of a sweep, and whether this process has created it."""
    import optuna

    with silent():
        try:
            return optuna.create_study(storage=storage, study_name=name, direction=direction_of(mode)), True
        except optuna.exceptions.DuplicatedStudyError:
            return optuna.load_study(storage=storage, study_name=name), False
