"""Statements that are built once run without being looked at again: their text and their conversions are kept.

SQLAlchemy's own way of running a statement takes 150 to 300 µs here, most of it to find out what it found out the last
time; a login is two dozen of them. So a statement that comes a second time (a constant of a module; one that is built
for each call never does) is run from what was kept: the text that SQLAlchemy compiled, and its types' conversions.
What this does not know, it leaves to SQLAlchemy: parameters that change the text, and engines that somebody listens to.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.sqlite import SqliteConnection

Parameters = Mapping[str, Any] | list[Mapping[str, Any]] | None
_Process = Callable[[Any], Any] | None


class Rows:
    """A result whose rows are all here, with what the stores ask of SQLAlchemy's."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> list[Any]:
        """Every row."""
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def first(self) -> Any:
        """The first row, or None."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        """The only row, or None. Raises MultipleResultsFound."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("Multiple rows were found when one or none was required")
        return self.first()

    def one(self) -> Any:
        """The only row. Raises MultipleResultsFound, NoResultFound."""
        if not self._rows:
            raise NoResultFound("No row was found when one was required")
        return self.one_or_none()

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row, or None. Raises MultipleResultsFound."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """The first column of the only row. Raises MultipleResultsFound, NoResultFound."""
        return self.one()[0]

    def scalar(self) -> Any:
        """The first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> "Rows":
        """The first column of every row, as rows of their own."""
        return Rows([row[0] for row in self._rows], self.rowcount)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement for one dialect and one set of parameters.

    ``parameters`` are name, value where it is the statement's own, and conversion, in the order of the text.
    """

    text: str
    positional: bool
    parameters: tuple[tuple[str, Any, _Process], ...]
    row: Callable[[Sequence[Any]], Any] | None
    results: tuple[_Process, ...]

    def bind(self, values: Mapping[str, Any]) -> Any:
        """What the driver is given for the parameters."""
        bound = [
            values.get(name, own) if process is None else process(values.get(name, own))
            for name, own, process in self.parameters
        ]
        if self.positional:
            return bound
        return {name: value for (name, _, _), value in zip(self.parameters, bound, strict=True)}

    def read(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """The driver's rows as the stores' rows."""
        if self.row is None:
            return []
        if not any(self.results):
            return [self.row(row) for row in found]
        return [
            self.row(
                [value if process is None else process(value) for value, process in zip(row, self.results, strict=True)]
            )
            for row in found
        ]


@dataclass(slots=True)
class _Statement:
    """What is kept of a statement: None where it is SQLAlchemy's to run."""

    prepared: dict[tuple[str, bool, frozenset[str]], _Prepared | None] = field(default_factory=dict)


_seen: WeakKeyDictionary[Any, _Statement] = WeakKeyDictionary()


class Connection(AsyncConnection):
    """SQLAlchemy's, with ``execute`` as above."""

    __slots__ = ()

    async def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """Run the statement. Raises as SQLAlchemy's does."""
        prepared = self._prepared(statement, parameters) if execution_options is None else None
        if prepared is None:
            return await super().execute(statement, parameters, execution_options=execution_options)
        try:
            return await self._run(prepared, parameters)
        except self.dialect.loaded_dbapi.Error as error:
            raise await self._wrapped(prepared.text, error) from error

    def _prepared(self, statement: Any, parameters: Parameters) -> _Prepared | None:
        known = _seen.get(statement)
        if known is None:
            _seen[statement] = _Statement()
            return None
        if self.sync_engine.dispatch.before_cursor_execute or not self.in_transaction():
            return None
        many = isinstance(parameters, list)
        first = (parameters[0] if parameters else {}) if isinstance(parameters, list) else parameters
        names = frozenset(first or ())
        key = (self.dialect.name, many, names)
        if key not in known.prepared:
            known.prepared[key] = _prepare(statement, self.dialect, sorted(names), many=many)
        return known.prepared[key]

    async def _run(self, prepared: _Prepared, parameters: Parameters) -> Rows:
        bound: Any
        if isinstance(parameters, list):
            many, bound = True, [prepared.bind(each) for each in parameters]
        else:
            many, bound = False, prepared.bind(parameters or {})
        driver: Any = self._proxied.connection.dbapi_connection
        if isinstance(driver, SqliteConnection):
            act = partial(_run_on_sqlite, driver.driver_connection, prepared.text, bound, many)
            rowcount, found = await driver.call(act)
        else:
            async with driver.driver_connection.cursor() as cursor:
                await (cursor.executemany if many else cursor.execute)(prepared.text, bound)
                rowcount, found = cursor.rowcount, await cursor.fetchall() if cursor.description is not None else []
        return Rows(prepared.read(found), rowcount)

    async def _wrapped(self, text: str, error: Any) -> Exception:
        """As SQLAlchemy's own; a connection that is gone leaves the pool."""
        dialect = self.dialect
        gone = dialect.is_disconnect(error, self._proxied.connection, None)
        if gone:
            await self.invalidate(error)
        wrapped: Exception = DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,  # an error's text must not quote what was stored
            connection_invalidated=gone,
            dialect=dialect,
        )
        return wrapped


def _run_on_sqlite(connection: Any, text: str, bound: Any, many: bool) -> tuple[int, list[Any]]:
    cursor = (connection.executemany if many else connection.execute)(text, bound)
    found = cursor.fetchall() if cursor.description is not None else []
    return cursor.rowcount, found


def _kind(names: list[str]) -> Any:
    return namedtuple("Row", names, rename=True)


def _prepare(statement: Any, dialect: Dialect, names: Sequence[str], *, many: bool) -> _Prepared | None:
    """What SQLAlchemy makes of the statement; None where that depends on more than its parameters' names."""
    if not isinstance(statement, Select | Insert | Update | Delete):
        return None
    writes = not isinstance(statement, Select)
    compiled: Any = statement.compile(dialect=dialect, column_keys=names if writes else None, for_executemany=many)
    if (
        compiled.post_compile_params
        or compiled.literal_execute_params
        or (writes and (compiled.insert_prefetch or compiled.update_prefetch or compiled.implicit_returning))
        or (many and compiled.effective_returning)
    ):
        return None
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    if any(bind.required and name not in names for name, bind in binds.items()):
        return None
    conversions = compiled._bind_processors
    order = compiled.positiontup if compiled.positional else list(binds)
    columns = compiled._result_columns
    row: Any = None
    if columns:
        row = _kind([column.keyname for column in columns])._make
    return _Prepared(
        compiled.string,
        compiled.positional,
        tuple((name, binds[name].effective_value, conversions.get(name)) for name in order),
        row,
        tuple(column.type._cached_result_processor(dialect, None) for column in columns),
    )
