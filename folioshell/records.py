"""Classes of values, as ``dataclass`` and ``NamedTuple`` declare them; methods are compiled when they are first used.

Compiling those of 170 classes took a third of a short run, which makes objects of few of them.

Rules:
- Checkers of types see what the standard library has under these names, and ``dataclasses.fields()`` and its kin work.
- ``frozen`` gives a hash. The checker of types, not each object, refuses assignments to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["MISSING", "NamedTuple", "dataclass", "field", "fields", "replace"]

if TYPE_CHECKING:
    from dataclasses import MISSING, dataclass, field, fields, replace
    from typing import NamedTuple
else:
    from _collections import _tuplegetter

    #: there is no default
    MISSING = object()

    class Field:
        """A field of a class; see ``dataclasses.Field``."""

        __slots__ = ("compare", "default", "default_factory", "init", "kw_only", "metadata", "name", "repr", "type")

        def __init__(self, default, default_factory, init, repr, compare, metadata):
            self.default, self.default_factory = default, default_factory
            self.init, self.repr, self.compare, self.metadata = init, repr, compare, metadata

    def field(*, default=MISSING, default_factory=MISSING, init=True, repr=True, compare=True, metadata=None):
        """See ``dataclasses.field``."""
        return Field(default, default_factory, init, repr, compare, metadata or {})

    def fields(of):
        """See ``dataclasses.fields``."""
        return tuple(of._fields_of_record.values())

    def replace(record, /, **changes):
        """See ``dataclasses.replace``."""
        for one in fields(record):
            if one.init and one.name not in changes:
                changes[one.name] = getattr(record, one.name)
        return record.__class__(**changes)

    def dataclass(cls=None, /, **how):
        """See ``dataclasses.dataclass``."""
        return (lambda declared: _record(declared, **how)) if cls is None else _record(cls, **how)

    def _record(cls, *, repr=True, eq=True, frozen=False, slots=False, kw_only=False):
        """The class with its fields, in place or as a new one with slots, and with the methods that it lacks."""
        inherited, own, members = {}, {}, dict(cls.__dict__)
        for base in cls.__mro__[:0:-1]:
            inherited.update(base.__dict__.get("_fields_of_record", {}))
        for name, kind in members.get("__annotations__", {}).items():
            if not kind.startswith("ClassVar"):
                default = members.pop(name, MISSING)
                one = own[name] = default if isinstance(default, Field) else field(default=default)
                one.name, one.type, one.kw_only = name, kind, kw_only
        found = {**inherited, **own}
        added = {"_fields_of_record": found, "__match_args__": tuple(found)}
        added |= {"__dataclass_fields__": _StandardFields(), "__dataclass_params__": _Parameters(frozen)}
        if repr and "__repr__" not in members:
            added["__repr__"] = _repr
        if eq and "__eq__" not in members:
            added |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if slots:
            members.pop("__dict__", None)
            members.pop("__weakref__", None)
            members |= {**added, "__slots__": tuple([name for name in own if name not in inherited])}
            name, cls = cls.__qualname__, type(cls)(cls.__name__, cls.__bases__, members)
            cls.__qualname__ = name
        else:
            for name, one in own.items():
                if one.default is not MISSING:
                    setattr(cls, name, one.default)
                elif name in cls.__dict__:
                    delattr(cls, name)
            for name, member in added.items():
                setattr(cls, name, member)
        if "__init__" not in members:
            cls.__init__ = _uncompiled_init(cls)
        return cls

    class _Parameters:
        """What ``dataclasses`` and snapshots look up of a class."""

        __slots__ = ("frozen",)

        def __init__(self, frozen):
            self.frozen = frozen

    class _StandardFields:
        """The fields as ``dataclasses`` has them, for those who ask."""

        def __get__(self, record, cls):
            import dataclasses

            made = {}
            for name, one in cls._fields_of_record.items():
                given = {"default": one.default, "default_factory": one.default_factory}
                given = {word: value for word, value in given.items() if value is not MISSING}
                same = {word: getattr(one, word) for word in ("init", "repr", "compare", "metadata", "kw_only")}
                made[name] = dataclasses.field(**given, **same)
                made[name].name, made[name].type = name, one.type
                made[name]._field_type = dataclasses._FIELD
            return made

    def _values(record):
        """What two records are compared by, and hashed."""
        return [getattr(record, name) for name, one in record._fields_of_record.items() if one.compare]

    def _eq(self, other):
        return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented

    def _hash(self):
        return hash(tuple(_values(self)))

    def _repr(self):
        texts = [f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr]
        return f"{self.__class__.__qualname__}({', '.join(texts)})"

    def _uncompiled_init(cls):
        """What stands for ``__init__`` until the first object is made."""

        def __init__(self, /, *given, **named):
            cls.__init__ = _compiled_init(cls)
            cls.__init__(self, *given, **named)

        return __init__

    def _compiled_init(cls):
        known = {"_MISSING": MISSING}
        plain, by_name, lines = [], [], []
        for name, one in cls._fields_of_record.items():
            value = name
            if one.default_factory is not MISSING:
                known[f"_new_{name}"] = one.default_factory
                value = f"_new_{name}() if {name} is _MISSING else {name}" if one.init else f"_new_{name}()"
            elif one.default is not MISSING:
                known[f"_default_{name}"] = one.default
                value = name if one.init else f"_default_{name}"
            elif not one.init:
                continue
            default = "_MISSING" if one.default_factory is not MISSING else f"_default_{name}"
            if one.init:
                needed = one.default is MISSING and one.default_factory is MISSING
                (by_name if one.kw_only else plain).append(name if needed else f"{name}={default}")
            lines.append(f"  self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append("  self.__post_init__()")
        parameters = ", ".join(["self", *plain, *(["*", *by_name] if by_name else ())])
        exec(f"def __init__({parameters}):\n" + ("\n".join(lines) or "  pass"), known)
        made = known["__init__"]
        made.__qualname__ = f"{cls.__qualname__}.__init__"
        return made

    class _Tuple(tuple):
        """What tuples with named fields have in common; see ``collections.namedtuple``."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"expected {len(cls._fields)} values, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            values = [*self]
            for name, value in changes.items():
                if name not in self._fields:
                    raise ValueError(f"no such field: {name!r}")
                values[self._fields.index(name)] = value
            return tuple.__new__(self.__class__, values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            texts = [f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)]
            return f"{self.__class__.__name__}({', '.join(texts)})"

    class _Declared(type):
        """Makes a plain class of what declares fields."""

        def __new__(cls, name, bases, members):
            if bases == ():
                return type.__new__(cls, name, bases, members)
            others = tuple(base for base in bases if base is not _Root)
            names = tuple(one for one, kind in members["__annotations__"].items() if not kind.startswith("ClassVar"))
            defaults = {one: members.pop(one) for one in names if one in members}
            members |= {one: _tuplegetter(place, "") for place, one in enumerate(names)}
            members |= {"__slots__": (), "_fields": names, "_field_defaults": defaults, "__match_args__": names}
            made = type(name, (_Tuple, *others), members)
            made.__new__ = _uncompiled_new(made)
            return made

    class _Root(metaclass=_Declared):
        """Stands among the bases of a class until that is made."""

    class _NamedTuple:
        """See ``typing.NamedTuple``."""

        def __mro_entries__(self, bases):
            return (_Root,)

    NamedTuple = _NamedTuple()

    def _uncompiled_new(cls):
        """What stands for ``__new__`` until the first object is made."""

        def __new__(kind, /, *given, **named):
            cls.__new__ = _compiled_new(cls)
            return cls.__new__(kind, *given, **named)

        return staticmethod(__new__)

    def _compiled_new(cls):
        known = {f"_default_{name}": value for name, value in cls._field_defaults.items()}
        known["_new"] = tuple.__new__
        given = [f"{name}=_default_{name}" if name in cls._field_defaults else name for name in cls._fields]
        names = "".join(f"{name}, " for name in cls._fields)
        made = eval(f"lambda _cls, {', '.join(given)}: _new(_cls, ({names}))", known)
        made.__name__, made.__qualname__ = "__new__", f"{cls.__qualname__}.__new__"
        return staticmethod(made)
