"""States as values: of the objects of a machine, and of a suspended kernel path.

The key of a state covers everything reachable, so equal keys mean equal futures, and no class has to declare which
attributes matter. Each object has a *name* that is the same in every run: class and number (``Folio``, 3), or the name
of its container and its place there. A key is the set of (name, contents one level deep), with references as names.

A suspended path is a chain of generators: the instruction of each, and everything that its frame refers to, its value
stack included. References to objects of the machine are names again; whatever else a path holds is written out.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Hashable, ItemsView, Iterable, KeysView, Sequence, ValuesView
from enum import Enum
from functools import cache, partial
from operator import is_
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodDescriptorType,
    MethodType,
)
from typing import Any

from folioshell.events import Event
from folioshell.explore.snapshot import ATOMS, Shape, SnapshotError, parts_of, shape_of
from folioshell.model.lock import Lock, LockOp

#: containers whose order does not matter
_ORDERLESS = {
    *(("Kernel", "vm_events"), ("Folios", "_blocks"), ("Kernel", "_last")),
    *(("PmdTable", "entries"), ("Words", "values"), ("AnswerCheck", "_calls")),
    ("LongIntervals", "_blocks"),
    *(("IntervalIndex", "_chunk_of"), ("AnonIntervalIndex", "_chunk_of")),
}


class _Name:
    """Stands for an object in keys; there is one per name, so identity is equality."""

    __slots__ = ("path",)

    def __init__(self, path: tuple[Hashable, ...]) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<{' '.join(map(str, self.path))}>"


#: (object, its name, its owner)
_Child = tuple[object, _Name, tuple[str, str]]


class _Object:
    """An object of the machine: its name, its contents when last read, and their number; -1 if not known yet.

    ``live`` is what the contents are compared with: the object, its attributes as a dictionary, or None if they are in
    slots. ``plain`` contents hold only atoms, ``exact`` ones nothing that equals another object. ``children`` are the
    mutable objects in them.
    """

    __slots__ = ("children", "copy", "exact", "live", "name", "number", "owner", "plain", "read", "shape", "target")

    def __init__(self, target: Any, shape: Shape, name: _Name, owner: tuple[str, str]) -> None:
        self.target = target
        self.shape = shape
        self.read = shape.read
        self.name = name
        self.owner = owner
        self.live = None if shape.names else target if shape.write is None else vars(target)
        self.copy: Any = shape.read(target)
        self.plain = self.exact = False
        self.children: list[_Child] = []
        self.number = -1


class Keys:
    """Keys of one machine's states, each a number; equal numbers mean equal states.

    Args:
        roots: path -> object to start from.
        apart: objects whose state is kept elsewhere.
    """

    def __init__(self, roots: dict[tuple[str, ...], object], apart: tuple[object, ...] = ()) -> None:
        self._apart = {id(target): f"apart {number}" for number, target in enumerate(apart)}
        self._kept = apart
        self._names: dict[tuple[Hashable, ...], _Name] = {}
        self._roots: list[_Child] = [(root, self._name(path), ("", path[0])) for path, root in reversed(roots.items())]
        self._contents: dict[Hashable, int] = {}
        #: numbers of the contents of all objects, ascending -> number of the state
        self._states: dict[bytes, int] = {}
        self._nodes: list[_Object] = []
        self._by_id: dict[int, _Object] = {}
        self._state = -1
        #: every set of names once
        self._sets: dict[frozenset[Hashable], frozenset[Hashable]] = {}
        #: names of the machine's reachable objects
        self.present: frozenset[Hashable] = frozenset()

    def state(self) -> int:
        """The number of the current state."""
        moved, changed = not self._nodes, []
        for node in self._nodes:
            live = node.live
            if live is None:
                copy = node.read(node.target)
                if all(map(is_, copy, node.copy)):
                    continue
            elif live == node.copy if node.exact else _is_same(live, node.copy):
                continue
            else:
                copy = node.read(node.target)
            changed.append(node)
            moved = moved or not _refer_alike(node.copy, copy)
            node.copy = copy
        if moved:
            for node in changed:
                self._look_into(node)
            changed = self._walk()
        elif not changed:
            return self._state
        for node in changed:
            self._number(node)
        key = array("I", sorted([node.number for node in self._nodes])).tobytes()
        self._state = self._states.setdefault(key, len(self._states))
        return self._state

    def _walk(self) -> list[_Object]:
        """Walk all objects, keeping what is known of unchanged ones. Returns: the objects to be numbered."""
        known, self._by_id, self._nodes = self._by_id, {}, []
        by_id, nodes = self._by_id, self._nodes
        pending = self._roots[:]
        taken: set[_Name] = set()
        while pending:
            target, name, owner = pending.pop()
            number = id(target)
            if number in by_id:
                continue
            if name in taken:
                name = self._name(("also", len(nodes), *name.path))
            taken.add(name)
            node = known.get(number)
            if node is None or node.target is not target or node.name is not name:
                shape = shape_of(target.__class__)
                assert shape is not None
                node = _Object(target, shape, name, owner)
                self._look_into(node)
            by_id[number] = node
            nodes.append(node)
            pending.extend(node.children)
        present = frozenset(taken)
        self.present = self._sets.setdefault(present, present)
        return [node for node in nodes if node.number < 0]

    def _look_into(self, node: _Object) -> None:
        """Read what an object refers to; its contents must be numbered again."""
        node.number = -1
        copy = node.copy
        classes = set(map(type, _parts(copy)))
        node.plain = node.live is not None and classes <= ATOMS
        node.exact = node.plain or _IDENTICAL.issuperset(classes) or all(map(_is_identical, classes))
        node.children = children = list[_Child]()
        if not classes <= _LEAVES:
            name, target = node.name, node.target
            of = "scheme" if node.owner[0] in ("scheme", "") and name.path[0] == "scheme" else ""
            of = of or target.__class__.__name__
            places: Iterable[Any] = copy if isinstance(copy, dict) else node.shape.names or range(len(copy))
            for at, part in zip(places, _parts(copy), strict=True):
                if part.__class__ not in _LEAVES:
                    self._add_children(children, part, (*name.path, at), (of, str(at)))

    def _add_children(
        self, children: list[_Child], part: object, path: tuple[Hashable, ...], owner: tuple[str, str]
    ) -> None:
        if isinstance(part, (tuple, frozenset)):
            for at, inner in enumerate(part):
                if inner.__class__ not in _LEAVES:
                    self._add_children(children, inner, (*path, at), owner)
        elif shape_of(part.__class__) is not None and id(part) not in self._apart:
            children.append((part, self._name_of(part, path), owner))

    def _name(self, path: tuple[Hashable, ...]) -> _Name:
        name = self._names.get(path)
        if name is None:
            name = self._names[path] = _Name(path)
        return name

    def _name_of(self, target: Any, path: tuple[Hashable, ...]) -> _Name:
        """Class and id, or class and name, of an object that has one; otherwise its path."""
        cls = target.__class__
        attribute = _naming(cls)
        return self._name((cls.__name__, getattr(target, attribute)) if attribute else path)

    def _number(self, node: _Object) -> None:
        """Number the contents of an object."""
        key = (node.name, self._written(node))
        node.number = self._contents.setdefault(key, len(self._contents))

    def _written(self, node: _Object) -> Hashable:
        copy = node.copy
        if isinstance(copy, dict):
            items = [(key, self._value(value)) for key, value in copy.items()]
            orderless = node.owner in _ORDERLESS or node.owner[0] == "scheme"
            return frozenset(items) if orderless else tuple(items)
        if isinstance(copy, set):
            return frozenset(copy)
        if node.plain:
            return tuple(copy)
        return tuple([value if value.__class__ in ATOMS else self._value(value) for value in copy])

    def _value(self, value: Any) -> Hashable:
        """A value in an object of the machine: itself, a name, or a tuple of those."""
        if value.__class__ in ATOMS:
            return value
        node = self._by_id.get(id(value))
        if node is not None:
            return node.name
        if isinstance(value, (tuple, frozenset)):
            return tuple([self._value(part) for part in value])
        # Locks have no state, and whether one was created yet does not matter.
        return None if isinstance(value, (Lock, LockOp)) else self._apart.get(id(value), value)

    # Paths.

    def path(self, path: object) -> tuple[Hashable, frozenset[Hashable]]:
        """The private state of a suspended kernel path; valid after ``state()``.

        Returns: the state, and the names of the machine's objects that it refers to. Once one of them is no longer
        ``present``, only the path refers to it, and the state must be computed again.
        """
        writer = _PathWriter(self._by_id, self._apart)
        writer.write(path)
        referred = frozenset(writer.referred)
        return tuple(writer.out), self._sets.setdefault(referred, referred)


class _PathWriter:
    """Writes out the private state of one path, each object once; a second reference is a number.

    Attributes:
        out: constants and names; before the parts of anything else, its class and their number.
        referred: names of the machine's objects.
    """

    def __init__(self, nodes: dict[int, _Object], apart: dict[int, str]) -> None:
        self._nodes = nodes
        self._apart = apart
        self._written: dict[int, int] = {}
        #: numbered objects, kept alive so that no other object gets the same id()
        self._kept: list[object] = []
        self.out: list[Hashable] = []
        self.referred: set[Hashable] = set()

    def write(self, value: Any) -> None:
        """Write a value, and everything that it refers to: each part with its own parts before the next."""
        put, nodes, pending = self.out.append, self._nodes, [value]
        while pending:
            value = pending.pop()
            cls = value.__class__
            if cls in _CONSTANTS:
                put(value)
                continue
            node = nodes.get(id(value))
            if node is not None:
                self.referred.add(node.name)
                put(node.name)
            elif issubclass(cls, tuple):
                put((cls.__name__, len(value)))
                pending += value[::-1]
            else:
                pending += self._write_object(value, cls)[::-1]

    def _write_object(self, value: Any, cls: type) -> Sequence[Any]:
        """Write what is neither a constant nor an object of the machine. Returns: its parts, which are to follow."""
        identity = id(value)
        if identity in self._written:
            self.out.append(("again", self._written[identity]))
        elif identity in self._apart:
            self.out.append(self._apart[identity])
        elif issubclass(cls, Lock):
            self.out.append(("lock", value.name))
        elif issubclass(cls, LockOp):
            self.out.append(("op", value.verb, value.lock.name, value.mode, value.function, value.nested))
        elif issubclass(cls, (Enum, type)):
            self.out.append(value)
        else:
            self._written[identity] = len(self._kept)
            self._kept.append(value)
            parts = _frame(value) if cls is GeneratorType else _parts_of(value, cls)
            self.out.append((cls.__name__, len(parts)))
            return parts
        return ()


def _frame(path: Any) -> Sequence[Any]:
    """Code and instruction of a generator, and everything that its frame refers to, its value stack included."""
    frame = path.gi_frame
    if frame is None:
        return ("over",)
    code = path.gi_code
    parts = [
        part
        for part in gc.get_referents(path)
        if part.__class__ not in _FRAME_PARTS and not (part.__class__ is FunctionType and part.__code__ is code)
    ]
    # Code objects live as long as the program, so their id() is unique.
    return [id(code), frame.f_lasti, *parts]


def _parts_of(value: Any, cls: type) -> Sequence[Any]:
    """The parts that distinguish objects of a class that a path holds."""
    if issubclass(cls, (list, array, set, frozenset)):
        return value if issubclass(cls, (list, array)) else sorted(value, key=repr)
    if issubclass(cls, dict):
        return (*value, *value.values())
    if cls is FunctionType:
        return (id(value.__code__), *(value.__closure__ or ()))
    if cls is partial:
        return (value.func, value.args, *value.keywords.items())
    if cls is MethodType:
        return (value.__func__, value.__self__)
    if cls is BuiltinFunctionType:
        return (value.__name__, value.__self__)
    if cls is CellType:
        return gc.get_referents(value)
    if cls.__module__.startswith(__name__.partition(".")[0] + "."):
        return parts_of(value)
    if issubclass(cls, (KeysView, ValuesView, ItemsView, slice)):
        # A view of a dictionary has no state but that of the dictionary.
        return gc.get_referents(value)
    if cls.__module__ in _ITERATING and hasattr(cls, "__next__"):
        # What it iterates over, and how far it has come.
        return value.__reduce__()[1:]  # type: ignore[no-any-return]
    raise SnapshotError(f"cannot snapshot {cls.__module__}.{cls.__qualname__}, which a path holds")


class CountKeys:
    """Keys of the states of schemes.

    A scheme depends on events only, so the effect of an event on a state is computed once.

    Args:
        keys: of the schemes.

    Attributes:
        state: number of the current state; set it after bringing the schemes to another one.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._first = self.state = keys.state()
        self._known: dict[tuple[int, type, Hashable], int] = {}

    def reset(self) -> None:
        """The schemes are in their initial state."""
        self.state = self._first

    def announced(self, event: Event) -> None:
        """The schemes were notified of an event."""
        seen = (self.state, event.__class__, _written_out(event))
        state = self._known.get(seen)
        if state is None:
            state = self._known[seen] = self._keys.state()
        self.state = state


def _written_out(event: Event) -> Hashable:
    shape = shape_of(event.__class__)
    assert shape is not None
    return tuple([tuple(part) if isinstance(part, list) else part for part in shape.read(event)])


_FRAME_PARTS = frozenset((CodeType, FrameType))
#: stateless values of a path; not functions, which may have closures, nor methods, which have an owner
_CONSTANTS = (ATOMS | {MethodDescriptorType}) - {FunctionType, BuiltinFunctionType}
#: modules whose iterators tell where they are
_ITERATING = ("builtins", "array")
#: classes whose objects are not walked
_LEAVES = ATOMS | {Lock, LockOp}
#: the comparison of classes that define none
_IS: Any = object.__eq__
#: classes whose objects equal nothing but themselves, or are atoms; grows
_IDENTICAL = set(ATOMS)


def _is_identical(cls: type) -> bool:
    """Do objects of a class equal nothing but themselves, or are they atoms?"""
    if cls not in ATOMS and cls.__eq__ is not _IS:
        return False
    _IDENTICAL.add(cls)
    return True


@cache
def _naming(cls: type) -> str:
    """The attribute that names the objects of a class, or nothing."""
    slots = getattr(cls, "__slots__", ())
    return next((attribute for attribute in ("id", "name") if attribute in slots), "")


def _is_same(left: Any, right: Any) -> bool:
    """Do two copies refer to the same objects in the same order?"""
    if len(left) != len(right):
        return False
    if isinstance(left, dict):
        return all(map(is_, left, right)) and all(map(is_, left.values(), right.values()))
    return bool(left == right) if isinstance(left, set) else all(map(is_, left, right))


def _parts(copy: Any) -> Any:
    """What a copy refers to, without the keys of a dictionary."""
    return copy.values() if isinstance(copy, dict) else copy


def _refer_alike(left: Any, right: Any) -> bool:
    """Do two copies refer to the same objects in the same places, apart from atoms and locks?"""
    if isinstance(left, dict) and left.keys() != right.keys():
        return False
    return len(left) == len(right) and all(
        a is b or (a.__class__ in _LEAVES and b.__class__ in _LEAVES)
        for a, b in zip(_parts(left), _parts(right), strict=True)
    )
