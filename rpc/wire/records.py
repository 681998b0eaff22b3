"""Record classes that cost little to declare, of annotated classes.

`xdr.struct` makes those that travel, `frozen` those that do not change. A program has hundreds of them,
of which one run uses few. So the class gets its slots at once, and its `__init__` is generated when the
first instance is made. Comparison and representation read the slots. (A dataclass generates and compiles
all of its methods at import, which takes twenty times as long.)
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")

#: Attributes of a plain class that a class with slots does not have.
_NOT_WITH_SLOTS = ("__dict__", "__weakref__")


def record(cls: type[T], **attributes: Any) -> type[T]:
    """Make a record class of a class with annotated fields.

    An instance takes the fields by position or by name; one with a default may be left out. Instances
    are equal if they are of the same class and their fields are equal; they are not hashable. The fields
    of a record class that this one extends come first.

    A field without a default after one with a default is a TypeError when the first instance is made.

    Args:
        cls: the annotated class.
        attributes: further attributes of the record class.
    """
    namespace = dict(cls.__dict__)
    for name in _NOT_WITH_SLOTS:
        namespace.pop(name, None)
    own = tuple(
        name
        for name, hint in namespace.get("__annotations__", {}).items()
        if not str(hint).startswith("ClassVar")
    )
    defaults = {name: namespace.pop(name) for name in own if name in namespace}
    names = own
    if cls.__base__ is not object:
        inherited = names_of(cls)
        names = tuple(dict.fromkeys((*inherited, *own)))
        own = tuple(name for name in own if name not in inherited)
        defaults = {**getattr(cls, "__record_defaults__", {}), **defaults}
    namespace.update(
        __qualname__=cls.__qualname__,
        __slots__=own,
        __match_args__=names,
        __record_defaults__=defaults,
        __init__=_first_init,
        __eq__=_equal,
        __repr__=namespace.get("__repr__", _shown),  # a secret hides its value
        **{"__hash__": None, **attributes},
    )
    metaclass: Any = type(cls)
    made: type[T] = metaclass(cls.__name__, cls.__bases__, namespace)
    return made


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """Make a record class whose instances do not change: they are hashable if their fields are.

    Otherwise it is as `record` says. `__post_init__` is called if the class has one.
    """
    return record(cls, __hash__=_hash, __setattr__=_refuse, __delattr__=_refuse)


def names_of(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of a record class, in the order of their declaration."""
    names: tuple[str, ...] = getattr(cls, "__match_args__", ())
    return names


def as_dict(value: Any) -> Any:
    """Return a record as a dict by field names; records within it, also those in lists, become dicts."""
    if hasattr(type(value), "__record_defaults__"):
        return {name: as_dict(getattr(value, name)) for name in names_of(type(value))}
    if isinstance(value, list):
        return [as_dict(item) for item in value]
    return value


def _first_init(self: object, /, *args: Any, **kwargs: Any) -> None:
    # Not always type(self): a subclass may have an __init__ of its own, which calls this one.
    cls: Any = next(
        one for one in type(self).__mro__ if one.__dict__.get("__init__") is _first_init
    )
    cls.__init__ = _make_init(cls)
    cls.__init__(self, *args, **kwargs)


def _make_init(cls: Any) -> Any:
    names, defaults = names_of(cls), cls.__record_defaults__
    defaulted = ""
    for name in names:
        if name in defaults:
            defaulted = name
        elif defaulted:
            raise TypeError(
                f"field {name} of {cls.__name__} needs a default, since {defaulted} has one"
            )
    parameters = ", ".join(
        f"{name}=_defaults[{name!r}]" if name in defaults else name for name in names
    )
    is_frozen = cls.__setattr__ is _refuse
    assign = "_set(self, {0!r}, {0})" if is_frozen else "self.{0} = {0}"
    body = [assign.format(name) for name in names]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    namespace: dict[str, Any] = {"_defaults": defaults, "_set": object.__setattr__}
    source = f"def __init__(self, {parameters}): {'; '.join(body) or 'pass'}"
    exec(source, namespace)  # noqa: S102  # the source is made above, from declarations only
    made = namespace["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    names = names_of(type(self))
    return all(getattr(self, name) == getattr(other, name) for name in names)


def _hash(self: Any) -> int:
    return hash((type(self), *(getattr(self, name) for name in names_of(type(self)))))


def _refuse(self: object, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")


def _shown(self: Any) -> str:
    names = names_of(type(self))
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__name__}({fields})"
