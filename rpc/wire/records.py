"""Record classes that cost little to declare: what `xdr.struct` makes of an annotated class.

A program has hundreds of them, of which one run uses few. So the class gets its slots at once, and its
`__init__` is generated when the first instance is made. Comparison and representation read the slots.
(A dataclass generates and compiles all of its methods at import, which takes twenty times as long.)
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

#: Attributes of a plain class that a class with slots does not have.
_NOT_WITH_SLOTS = ("__dict__", "__weakref__")


def record(cls: type[T]) -> type[T]:
    """Make a record class of a class with annotated fields.

    An instance takes the fields by position or by name; one with a default may be left out. Instances
    are equal if they are of the same class and their fields are equal; they are not hashable.
    """
    namespace = dict(cls.__dict__)
    for name in _NOT_WITH_SLOTS:
        namespace.pop(name, None)
    names = tuple(namespace.get("__annotations__", ()))
    defaults = {name: namespace.pop(name) for name in names if name in namespace}
    namespace.update(
        __slots__=names,
        __match_args__=names,
        __record_defaults__=defaults,
        __init__=_first_init,
        __eq__=_equal,
        __repr__=_shown,
        __hash__=None,
    )
    metaclass: Any = type(cls)
    made: type[T] = metaclass(cls.__name__, cls.__bases__, namespace)
    return made


def names_of(cls: type) -> tuple[str, ...]:
    """The names of the fields of a record class, in the order of their declaration."""
    names: tuple[str, ...] = cls.__dict__.get("__match_args__", ())
    return names


def as_dict(value: Any) -> Any:
    """A record as a dict by field names, and records within it, too, also within lists."""
    if hasattr(type(value), "__record_defaults__"):
        return {name: as_dict(getattr(value, name)) for name in names_of(type(value))}
    if isinstance(value, list):
        return [as_dict(item) for item in value]
    return value


def _first_init(self: object, /, *args: Any, **kwargs: Any) -> None:
    cls: Any = type(self)
    cls.__init__ = _make_init(cls)
    cls.__init__(self, *args, **kwargs)


def _make_init(cls: Any) -> Any:
    names, defaults = names_of(cls), cls.__record_defaults__
    parameters = ", ".join(
        f"{name}=_defaults[{name!r}]" if name in defaults else name for name in names
    )
    body = "; ".join(f"self.{name} = {name}" for name in names) or "pass"
    namespace: dict[str, Any] = {"_defaults": defaults}
    source = f"def __init__(self, {parameters}): {body}"
    exec(source, namespace)  # noqa: S102  # the source is made above, from declarations only
    made = namespace["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    names = names_of(type(self))
    return all(getattr(self, name) == getattr(other, name) for name in names)


def _shown(self: Any) -> str:
    names = names_of(type(self))
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__name__}({fields})"
