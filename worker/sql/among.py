"""Lists of values in statements, each of them one parameter: a statement has one text however long its lists are,
and neither SQLAlchemy nor the database's parser goes through them.
"""

import json
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    Column,
    Dialect,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine
from typing_extensions import override


def among(one: Column[Any], name: str) -> FunctionElement[bool]:
    """Return the condition that a column has one of the values in the list that is the parameter `name`."""
    return _Among(one, bindparam(name, type_=_List(one.type)))


def pair_among(first: Column[str], second: Column[str], names: tuple[str, str]) -> FunctionElement[bool]:
    """Return the condition that two columns of text have, both in the same place, values in the two lists that are
    the parameters `names`.
    """
    lists = (bindparam(name, type_=_List(one.type)) for one, name in zip((first, second), names, strict=True))
    return _PairAmong(first, second, *lists)


class _List(TypeDecorator[Sequence[Any]]):
    """An array on PostgreSQL. SQLite has none: there it is text in JSON, and a UUID in it as one is stored."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.item, dimensions=1))

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return json.dumps(value, default=attrgetter("hex")) if dialect.name == "sqlite" else value


# Neither says that it is a Boolean: SQLAlchemy would write `= 1` behind it for SQLite, which then uses no index.
class _Among(FunctionElement[bool]):
    inherit_cache = True


class _PairAmong(FunctionElement[bool]):
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_in_json(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    one, values = element.clauses
    return compiler.process(one.in_(select(column("value")).select_from(func.json_each(values))), **options)


@compiles(_Among, "postgresql")
def _among_in_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    one, values = element.clauses
    return compiler.process(one == any_(values), **options)


@compiles(_PairAmong, "sqlite")
def _pair_among_in_json(element: _PairAmong, compiler: SQLCompiler, **options: Any) -> str:
    first, second, firsts, seconds = element.clauses
    second_at = func.json_extract(seconds, literal_column("'$[' || key || ']'"))
    rows = select(column("value"), second_at).select_from(func.json_each(firsts))
    return compiler.process(tuple_(first, second).in_(rows), **options)


@compiles(_PairAmong, "postgresql")
def _pair_among_in_arrays(element: _PairAmong, compiler: SQLCompiler, **options: Any) -> str:
    first, second, firsts, seconds = element.clauses
    rows = func.unnest(firsts, seconds).table_valued("first", "second").render_derived()
    return compiler.process(tuple_(first, second).in_(select(rows)), **options)
