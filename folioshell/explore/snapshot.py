"""Saving and restoring the objects of a machine in place, so that references to them stay valid.

The objects reachable from the roots are walked once. A shallow copy of each mutable one (lists, arrays, dicts, sets,
objects of this package) is kept; restoring writes the copies back. Objects created since become unreachable, dropped
ones are linked again. Other objects can be given the same contents, too. Locks have no state of their own and are
skipped, as is everything immutable.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from operator import attrgetter, is_, itemgetter
from types import BuiltinFunctionType, FunctionType, GenericAlias, ModuleType
from typing import Any

from folioshell.model.lock import Lock, LockOp
from folioshell.records import dataclass

#: classes whose objects are immutable, recursively
ATOMS: frozenset[type] = frozenset(
    (int, str, bool, type(None), float, bytes, type, FunctionType, BuiltinFunctionType, ModuleType, range)
)
_PACKAGE = __name__.partition(".")[0] + "."


class SnapshotError(TypeError):
    """An object cannot be copied, or its state cannot be written out."""


@dataclass(slots=True, eq=False)
class Shape:
    """How objects of one class are copied and written back, one level deep.

    Args:
        read: the shallow copy of an object.
        parts: the objects that a copy refers to.
        write: write such a copy back to an object with attributes.
        names: of the attributes, in the order of the copies; empty for a container.
    """

    read: Callable[[Any], Any]
    parts: Callable[[Any], Iterable[object]] = iter
    write: Callable[[Any, Any], None] | None = None
    names: tuple[str, ...] = ()


def _dict_parts(copy: dict[object, object]) -> Iterable[object]:
    return (*copy, *copy.values())


def _list_parts(copy: list[object]) -> Iterable[object]:
    """What a list refers to, once each: a memory section is a list of 512 pages of a few folios."""
    if _are_numbers(copy):
        return ()
    try:
        return set(copy)
    except TypeError:
        return copy


def _are_numbers(items: list[Any]) -> bool:
    """Are they numbers, as in most long lists? Nothing else can be added to 0, and no other way to ask is as fast."""
    try:
        sum(items)
    except TypeError:
        return False
    return True


def _nothing(_: object) -> Iterable[object]:
    """An array refers to nothing."""
    return ()


def _write_attributes(target: object, copy: dict[str, object]) -> None:
    attributes = vars(target)
    for name in attributes.keys() - copy.keys():
        del attributes[name]
    for name, value in copy.items():
        if attributes.get(name, copy) is not value:
            attributes[name] = value


def _slots_of(cls: type) -> tuple[str, ...]:
    names = [name for base in cls.__mro__ for name in getattr(base, "__slots__", ()) if not name.startswith("__")]
    return tuple(dict.fromkeys(names))


def _slotted(names: tuple[str, ...]) -> Shape:
    many = attrgetter(*names)
    read: Callable[[Any], Any] = many if len(names) > 1 else lambda target: (many(target),)

    def write(target: object, copy: tuple[object, ...]) -> None:
        for name, value in zip(names, copy, strict=True):
            setattr(target, name, value)

    return Shape(read, iter, write, names)


def _lazily_slotted(cls: type, names: tuple[str, ...]) -> Shape:
    """As ``_slotted``, for a class whose attributes are never None and may be missing until their first use."""
    slots = [getattr(cls, name) for name in names]

    def slot_of(target: object, slot: Any) -> object:
        try:
            return slot.__get__(target)
        except AttributeError:
            return None

    def read(target: object) -> tuple[object, ...]:
        return tuple([slot_of(target, slot) for slot in slots])

    def write(target: object, copy: tuple[object, ...]) -> None:
        for name, value in zip(names, copy, strict=True):
            if value is not None:
                setattr(target, name, value)
            elif slot_of(target, getattr(cls, name)) is not None:
                delattr(target, name)

    return Shape(read, iter, write, names)


def _is_frozen(cls: type) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


#: class -> its shape; None for atoms, and for tuples, which are walked but not kept
_SHAPES: dict[type, Shape | None] = dict.fromkeys(ATOMS)


def shape_of(cls: type) -> Shape | None:
    """How objects of a class are copied; None if they are immutable.

    Raises:
        TypeError: objects of this class cannot be copied.
    """
    try:
        return _SHAPES[cls]
    except KeyError:
        shape = _SHAPES[cls] = _new_shape(cls)
        return shape


def _new_shape(cls: type) -> Shape | None:
    if issubclass(cls, list):
        return Shape(list, _list_parts)
    if issubclass(cls, array):
        return Shape(itemgetter(slice(None)), _nothing)
    if issubclass(cls, dict):
        return Shape(dict, _dict_parts)
    if issubclass(cls, set):
        return Shape(set)
    if issubclass(cls, (tuple, frozenset, Enum, Lock, LockOp, type, GenericAlias)):
        return None
    if not cls.__module__.startswith(_PACKAGE):
        raise SnapshotError(f"cannot snapshot {cls.__module__}.{cls.__qualname__}")
    if _is_frozen(cls):
        return None
    if hasattr(cls, "__getattr__"):
        return _lazily_slotted(cls, _slots_of(cls))
    if "__dict__" in dir(cls):
        return Shape(lambda target: dict(vars(target)), _dict_parts, _write_attributes)
    return _slotted(_slots_of(cls))


def parts_of(target: object) -> tuple[object, ...]:
    """What an object of the package holds, mutable or not."""
    names = _slots_of(target.__class__)
    return tuple([getattr(target, name) for name in names]) if names else tuple(vars(target).values())


def _others(items: list[Any], made: Mapping[int, Any], of: Callable[[Any], Any]) -> Iterable[Any]:
    """``of`` each; at once if none is a tuple, whose parts have to be looked at."""
    if any(issubclass(kind, (tuple, frozenset)) for kind in set(map(type, items))):
        return map(of, items)
    return map(made.get, map(id, items), items)


class Snapshot:
    """The state of all objects reachable from some roots at the time of construction.

    Args:
        roots: where to start; atoms among them are ignored.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self._lists: list[tuple[Any, Any]] = []
        self._tables: list[tuple[Any, Any]] = []
        self._others: list[tuple[Shape, object, Any]] = []
        seen: set[int] = set()
        pending: list[object] = [*roots]
        #: keeps tuples alive, so that their id() is not reused during the walk
        tuples: list[object] = []
        while pending:
            target = pending.pop()
            if target.__class__ in ATOMS or id(target) in seen:
                continue
            shape = shape_of(target.__class__)
            if shape is not None:
                seen.add(id(target))
                parts = shape.parts(self._keep(target, shape))
                # Most parts are atoms.
                pending += [part for part in parts if part.__class__ not in ATOMS]
                if shape.write is None and hasattr(target, "__dict__"):
                    # A container class of the package has attributes, too.
                    pending.append(vars(target))
            elif isinstance(target, (tuple, frozenset)):
                seen.add(id(target))
                tuples.append(target)
                pending.extend(target)

    def _keep(self, target: Any, shape: Shape) -> Any:
        copy = shape.read(target)
        if isinstance(target, (list, array)):
            self._lists.append((target, copy))
        elif isinstance(target, (dict, set)):
            self._tables.append((target, copy))
        else:
            self._others.append((shape, target, copy))
        return copy

    def __len__(self) -> int:
        """Number of saved objects."""
        return len(self._lists) + len(self._tables) + len(self._others)

    @property
    def nr_elements(self) -> int:
        """Number of elements of the saved lists."""
        return sum([len(copy) for _, copy in self._lists])

    def opened(self, *roots: object) -> list[Any]:
        """Other objects that hold what was saved, in place of these roots and of all that they lead to.

        What has no state of its own is shared with them.
        """
        made: dict[int, Any] = {}
        attributes: dict[int, Any] = {}
        for target, copy in (*self._lists, *self._tables, *[one[1:] for one in self._others]):
            kind = target.__class__
            made[id(target)] = other = copy[:] if isinstance(target, array) else kind.__new__(kind)
            if isinstance(target, (list, dict, set)) and hasattr(target, "__dict__"):
                attributes[id(vars(target))] = vars(other)
        made |= attributes
        self._fill(made)
        return [made[id(root)] for root in roots]

    def _fill(self, made: dict[int, Any]) -> None:
        """Give new objects, by the id() of the saved ones, their contents."""

        def of(part: Any) -> Any:
            if part.__class__ in ATOMS:
                return part
            if isinstance(part, (tuple, frozenset)):
                parts = [*map(of, part)]
                if all(map(is_, part, parts)):
                    return part
                return tuple.__new__(part.__class__, parts) if isinstance(part, tuple) else frozenset(parts)
            return made.get(id(part), part)

        for target, copy in self._lists:
            if not isinstance(target, array):
                made[id(target)][:] = copy if _are_numbers(copy) else _others(copy, made, of)
        for target, copy in self._tables:
            pairs = [(of(key), of(copy[key])) for key in copy] if isinstance(target, dict) else map(of, copy)
            made[id(target)].update(pairs)
        for shape, target, copy in self._others:
            assert shape.write is not None
            other = {name: of(part) for name, part in copy.items()} if isinstance(copy, dict) else [*map(of, copy)]
            shape.write(made[id(target)], other)

    def restore(self) -> None:
        """Restore the contents of all objects."""
        for items, copy in self._lists:
            items[:] = copy
        for table, copy in self._tables:
            if table or copy:
                table.clear()
                table.update(copy)
        for shape, target, copy in self._others:
            if not all(map(is_, shape.parts(shape.read(target)), shape.parts(copy))):
                assert shape.write is not None
                shape.write(target, copy)
