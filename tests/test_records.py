"""Classes of values do what those of the standard library do, and compile nothing before they are used."""

from __future__ import annotations

import ast
import dataclasses
import typing
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from folioshell import records
from tests.repo.tree import modules, parsed


def declared(dataclass: Any, field: Any) -> tuple[type, type, type]:
    """A class with slots, one that inherits from it and has all kinds of fields, and a frozen one without slots."""

    @dataclass(slots=True)
    class Page:
        sign: ClassVar[int] = 1

        folio: int
        nr: int = 1

    @dataclass(slots=True)
    class Pages(Page):
        names: list[str] = field(default_factory=list)
        hidden: str = field(default="", repr=False, compare=False)
        end: int = field(init=False)

        def __post_init__(self) -> None:
            self.end = self.folio + self.nr

    @dataclass(frozen=True)
    class Key:
        a: int
        b: str = "b"

    return Page, Pages, Key


OURS = declared(records.dataclass, records.field)
THEIRS = declared(dataclasses.dataclass, dataclasses.field)

USES: dict[str, Callable[[tuple[Any, Any, Any]], object]] = {
    "repr": lambda kinds: [repr(kinds[0](1)), repr(kinds[1](1, nr=3, names=["x"])), repr(kinds[2](1))],
    "equal": lambda kinds: [kinds[0](1) == kinds[0](1, 1), kinds[0](1) == kinds[0](2), kinds[0](1) == 1],
    "not compared": lambda kinds: kinds[1](1, hidden="x") == kinds[1](1, hidden="y"),
    "of another class": lambda kinds: kinds[0](1) == kinds[1](1),
    "a list each": lambda kinds: kinds[1](1).names is not kinds[1](1).names,
    "hash": lambda kinds: [hash(kinds[2](1, "c")), kinds[0].__hash__],
    "slots": lambda kinds: [kind.__dict__.get("__slots__") for kind in kinds],
    "replaced": lambda kinds: [
        repr(dataclasses.replace(kinds[1](1), nr=4)),
        repr(dataclasses.replace(kinds[2](1), a=2)),
    ],
    "fields": lambda kinds: [(one.name, one.type, one.init) for kind in kinds for one in dataclasses.fields(kind)],
    "as a dict": lambda kinds: dataclasses.asdict(kinds[1](1, names=["x"])),
    "class variable": lambda kinds: kinds[1].sign,
    "default": lambda kinds: kinds[2].b,
}


@pytest.mark.parametrize("use", USES)
def test_dataclasses(use: str) -> None:
    """A class of ours answers as one of ``dataclasses``."""
    assert USES[use](OURS) == USES[use](THEIRS)


@pytest.mark.parametrize("kinds", [OURS, THEIRS])
def test_arguments_that_are_missing(kinds: tuple[Any, Any, Any]) -> None:
    """An argument without a default must be given, and one that is unknown may not be."""
    for kind in kinds:
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            kind(1, unknown=2)


def test_fields_given_by_name_only() -> None:
    """With ``kw_only`` no field is positional; those that are inherited keep what they are."""

    @records.dataclass(kw_only=True)
    class Named:
        a: int
        b: int = 2

    assert repr(Named(a=1)).endswith("Named(a=1, b=2)")
    with pytest.raises(TypeError):
        Named(1)  # type: ignore[misc]
    assert [one.name for one in records.fields(Named)] == ["a", "b"]
    assert records.replace(Named(a=1), b=3) == Named(a=1, b=3)


class Ours(records.NamedTuple):
    """Ours."""

    first: int
    kind: str = "x"
    nr: int = 1

    @property
    def end(self) -> int:
        """A property."""
        return self.first + self.nr


class Theirs(typing.NamedTuple):
    """Theirs."""

    first: int
    kind: str = "x"
    nr: int = 1

    @property
    def end(self) -> int:
        """A property."""
        return self.first + self.nr


TUPLE_USES: dict[str, Callable[[Any], object]] = {
    "repr": lambda kind: repr(kind(1, nr=3)).lower().partition("(")[2],
    "tuple": lambda kind: [*kind(1), kind(1) == (1, "x", 1), hash(kind(1)), kind(3) < kind(4)],
    "by name": lambda kind: [kind(2).first, kind(2).kind, kind(2, nr=5).end],
    "replaced": lambda kind: tuple(kind(1)._replace(kind="y", nr=2)),
    "as a dict": lambda kind: kind(1)._asdict(),
    "made": lambda kind: kind._make([1, "y", 2]).end,
    "fields": lambda kind: [kind._fields, kind._field_defaults, kind.__match_args__, typing.get_type_hints(kind)],
    "type": lambda kind: [type(kind), isinstance(kind(1), tuple), kind.__slots__, kind.__doc__ is not None],
}


@pytest.mark.parametrize("use", TUPLE_USES)
def test_named_tuples(use: str) -> None:
    """A tuple of ours answers as one of ``typing``."""
    assert TUPLE_USES[use](Ours) == TUPLE_USES[use](Theirs)


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_values_that_do_not_fit(kind: Any) -> None:
    """As many values as fields, and the names of fields."""
    for wrong in (lambda: kind(), lambda: kind(1, 2, 3, 4), lambda: kind(1, other=2), lambda: kind._make([1])):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ValueError, match="other"):
        kind(1)._replace(other=2)


SLOWER = {("dataclasses", "dataclass"), ("dataclasses", "field"), ("typing", "NamedTuple")}


def test_all_modules_declare_their_classes_by_it() -> None:
    """Nothing but the recorder, which is used without the rest, imports the slower ones."""
    found = [
        f"{path}:{node.lineno}"
        for path in modules()
        if "live" not in path.parts and path.name != "records.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        and (
            node.module == "dataclasses"
            or any(one.name == "NamedTuple" for one in node.names if node.module == "typing")
        )
    ]
    assert found == []
