"""JSON in place of XDR, by a description: arguments and results that people and scripts write and read.

    codec = JsonCodec(description)
    data = codec.encode(description.args, {"name": "main", "flags": []})
    value = codec.decode(description.result, data)

| type | JSON |
|---|---|
| int, unsigned, hyper, unsigned hyper | a number with all its digits; a string of digits is accepted |
| a number of an enumeration | the name of its member, or a number |
| flags | a list of names, and of one number for the bits without a name; "A|B" is accepted |
| double | a number, "NaN", "Infinity" or "-Infinity" |
| bool | true or false |
| string | a string |
| opaque, fixed or not | a string of hexadecimal digits; blanks and "-" between them are accepted |
| optional | the value, or null |
| array | a list |
| struct | an object; absent fields are null if optional, and no flags if called `flags` |
| union | an object of one member: the name of the arm, or its number, and the value |
| no arguments, no result | null; an empty object is accepted |

A description comes from a daemon: it is interpreted, never compiled, and work and depth are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from aiovirt.admin.extension.protocol.introspection import (
    EnumerationInfo,
    ProcedureDescription,
    TypeInfo,
    TypeKind,
)
from aiovirt.admin.json_scalars import (
    DIGITS,
    JsonError,
    at,
    double,
    first_of,
    meant,
    misfit,
    named,
    octets,
    text_of,
    too_long,
    value_of,
    widened,
    word_of,
)
from aiovirt.rpc.wire.xdr import XdrError

#: Levels of types within types.
_DEPTH_MAX: Final = 64
#: Values in one argument or result.
_VALUES_MAX: Final = 10_000_000
#: Values in one template.
_TEMPLATE_MAX: Final = 2_000
_FORMATS: Final = {
    TypeKind.INT: struct.Struct(">i"),
    TypeKind.UINT: struct.Struct(">I"),
    TypeKind.HYPER: struct.Struct(">q"),
    TypeKind.UHYPER: struct.Struct(">Q"),
}
_RANGES: Final = {
    TypeKind.INT: (-(1 << 31), (1 << 31) - 1),
    TypeKind.UINT: (0, (1 << 32) - 1),
    TypeKind.HYPER: (-(1 << 63), (1 << 63) - 1),
    TypeKind.UHYPER: (0, (1 << 64) - 1),
}
_DOUBLE: Final = struct.Struct(">d")
_COUNT: Final = struct.Struct(">I")


class JsonCodec:
    """Encodes and decodes the types of one description, which are given by their positions."""

    def __init__(self, description: ProcedureDescription) -> None:
        """Take a description. Raises XdrError if it contradicts itself."""
        self._types = description.types
        self._enumerations = description.enumerations
        for one in self._types:
            positions = [one.item, *(field.type for field in one.fields)]
            positions += [arm.type for arm in one.arms]
            if max(positions) >= len(self._types) or one.enumeration > len(self._enumerations):
                raise XdrError("the description of a type refers to another one that is missing")

    def encode(self, position: int, value: Any) -> bytes:
        """Return the XDR encoding of a JSON value. Raises JsonError."""
        writer = _Writer(self._types, self._enumerations)
        writer.write(position, value, "", 0)
        return b"".join(writer.parts)

    def decode(self, position: int, data: bytes) -> Any:
        """Return the JSON value of an encoding; bytes after it are ignored. Raises XdrError."""
        return _Reader(self._types, self._enumerations, data).read(position, 0)

    def template(self, position: int) -> Any:
        """Return a JSON value of the type, with every field and an example of each kind of value."""
        return _Template(self._types, self._enumerations).make(position, 0)


class _Walk:
    def __init__(self, types: list[TypeInfo], enumerations: list[EnumerationInfo]) -> None:
        self._types = types
        self._enumerations = enumerations
        self._left = _VALUES_MAX

    def _enter(self, position: int, depth: int) -> tuple[TypeInfo, TypeKind]:
        self._left -= 1
        if depth > _DEPTH_MAX or self._left < 0 or position >= len(self._types):
            raise XdrError("the value is nested too deeply or has too many parts")
        one = self._types[position]
        try:
            return one, TypeKind(one.kind)
        except ValueError:
            raise XdrError(f"kind {one.kind} of a type is unknown here") from None

    def _enumeration(self, one: TypeInfo) -> EnumerationInfo | None:
        return self._enumerations[one.enumeration - 1] if one.enumeration else None


class _Writer(_Walk):
    """Encodes a value into `parts`."""

    def __init__(self, types: list[TypeInfo], enumerations: list[EnumerationInfo]) -> None:
        super().__init__(types, enumerations)
        self.parts: list[bytes] = []

    def write(self, position: int, value: Any, path: str, depth: int) -> None:
        one, kind = self._enter(position, depth)
        append = self.parts.append
        match kind:
            case TypeKind.VOID:
                if value not in (None, {}):
                    raise misfit(path, "null", value)
            case TypeKind.INT | TypeKind.UINT | TypeKind.HYPER | TypeKind.UHYPER:
                append(_FORMATS[kind].pack(self._number(one, kind, value, path)))
            case TypeKind.DOUBLE:
                append(_DOUBLE.pack(double(value, path)))
            case TypeKind.BOOL:
                if not isinstance(value, bool):
                    raise misfit(path, "true or false", value)
                append(_COUNT.pack(value))
            case TypeKind.STRING:
                self._counted(text_of(value, path), one.bound, path)
            case TypeKind.VAROPAQUE:
                self._counted(octets(value, path), one.bound, path)
            case TypeKind.CHARS:
                data = octets(value, path)
                if len(data) > one.bound:
                    raise too_long(path, one.bound, len(data), "bytes")
                append(_COUNT.pack(len(data)) + widened(data))
            case TypeKind.OPAQUE | TypeKind.CHAR_ARRAY:
                data = octets(value, path)
                if len(data) != one.bound:
                    raise JsonError(f"{at(path)}{one.bound} bytes are needed, not {len(data)}")
                wide = kind is TypeKind.CHAR_ARRAY
                append(widened(data) if wide else data + bytes(-len(data) % 4))
            case TypeKind.OPTIONAL:
                append(_COUNT.pack(value is not None))
                if value is not None:
                    self.write(one.item, value, path, depth + 1)
            case TypeKind.ARRAY:
                self._array(one, value, path, depth)
            case TypeKind.UNION:
                self._union(one, value, path, depth)
            case TypeKind.STRUCT:
                self._struct(one, value, path, depth)

    def _counted(self, data: bytes, bound: int, path: str) -> None:
        if len(data) > bound:
            raise too_long(path, bound, len(data), "bytes")
        self.parts.append(_COUNT.pack(len(data)) + data + bytes(-len(data) % 4))

    def _number(self, one: TypeInfo, kind: TypeKind, value: Any, path: str) -> int:
        enumeration = self._enumeration(one)
        if enumeration is not None:
            value = value_of(enumeration, value, path)
        low, high = _RANGES[kind]
        if isinstance(value, str) and DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise misfit(path, "a whole number", value)
        if not low <= value <= high:
            raise JsonError(f"{at(path)}{value} is outside {low} to {high}")
        return value

    def _array(self, one: TypeInfo, value: Any, path: str, depth: int) -> None:
        if not isinstance(value, list):
            raise misfit(path, "a list", value)
        if len(value) > one.bound:
            raise too_long(path, one.bound, len(value), "items")
        self.parts.append(_COUNT.pack(len(value)))
        for index, item in enumerate(value):
            self.write(one.item, item, f"{path}[{index}]", depth + 1)

    def _union(self, one: TypeInfo, value: Any, path: str, depth: int) -> None:
        names = [arm.name or str(arm.value) for arm in one.arms]
        if not isinstance(value, dict) or len(value) != 1:
            raise misfit(path, f"an object of one member, of {', '.join(names)}", value)
        ((chosen, content),) = value.items()
        for arm in one.arms:
            if chosen.lower() in (arm.name.lower(), str(arm.value)) and chosen:
                self.parts.append(_COUNT.pack(arm.value))
                self.write(arm.type, content, f"{path}.{chosen}" if path else chosen, depth + 1)
                return
        raise JsonError(f"{at(path)}the union has no arm '{chosen}'{meant(chosen, names)}")

    def _struct(self, one: TypeInfo, value: Any, path: str, depth: int) -> None:
        if value is None and not one.fields:
            value = {}
        if not isinstance(value, dict):
            raise misfit(path, f"an object ({one.name})", value)
        names = [field.name for field in one.fields]
        for name in value:
            if name not in names:
                raise JsonError(f"{at(path)}{one.name} has no field '{name}'{meant(name, names)}")
        for field in one.fields:
            there = f"{path}.{field.name}" if path else field.name
            if field.name in value:
                content = value[field.name]
            elif self._types[field.type].kind == TypeKind.OPTIONAL:
                content = None
            elif field.name == "flags" and self._types[field.type].kind in _FORMATS:
                content = 0
            else:
                raise JsonError(f"{there}: this field of {one.name} is missing")
            self.write(field.type, content, there, depth + 1)


class _Reader(_Walk):
    """Decodes values from bytes."""

    def __init__(
        self, types: list[TypeInfo], enumerations: list[EnumerationInfo], data: bytes
    ) -> None:
        super().__init__(types, enumerations)
        self._data = data
        self._at = 0

    def read(self, position: int, depth: int) -> Any:
        one, kind = self._enter(position, depth)
        match kind:
            case TypeKind.VOID:
                return None
            case TypeKind.INT | TypeKind.UINT | TypeKind.HYPER | TypeKind.UHYPER:
                (number,) = self._unpacked(_FORMATS[kind])
                enumeration = self._enumeration(one)
                return number if enumeration is None else named(enumeration, number)
            case TypeKind.DOUBLE:
                (number,) = self._unpacked(_DOUBLE)
                return number if abs(number) < float("inf") else word_of(number)
            case TypeKind.BOOL:
                return self._unpacked(_COUNT)[0] != 0
            case TypeKind.STRING:
                data = self._octets(self._count(one.bound))
                return data.decode("utf-8", "surrogateescape")
            case TypeKind.VAROPAQUE:
                return self._octets(self._count(one.bound)).hex()
            case TypeKind.OPAQUE:
                return self._octets(one.bound).hex()
            case TypeKind.CHARS:
                return self._taken(4 * self._count(one.bound))[3::4].hex()
            case TypeKind.CHAR_ARRAY:
                return self._taken(4 * one.bound)[3::4].hex()
            case TypeKind.OPTIONAL:
                (present,) = self._unpacked(_COUNT)
                return self.read(one.item, depth + 1) if present else None
            case TypeKind.ARRAY:
                return self._array(one, depth)
            case TypeKind.UNION:
                return self._union(one, depth)
            case TypeKind.STRUCT:
                return {field.name: self.read(field.type, depth + 1) for field in one.fields}

    def _unpacked(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self._taken(form.size))

    def _taken(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise XdrError("the data ends inside a value")
        self._at += size
        return self._data[self._at - size : self._at]

    def _octets(self, size: int) -> bytes:
        return self._taken(size + -size % 4)[:size]

    def _count(self, bound: int) -> int:
        (count,) = self._unpacked(_COUNT)
        if count > bound:
            raise XdrError(f"{count} exceeds the maximum of {bound}")
        return int(count)

    def _array(self, one: TypeInfo, depth: int) -> list[Any]:
        count = self._count(one.bound)
        if count > (len(self._data) - self._at) // 4:  # no item takes less than four bytes
            raise XdrError("the data ends inside an array")
        return [self.read(one.item, depth + 1) for _ in range(count)]

    def _union(self, one: TypeInfo, depth: int) -> dict[str, Any]:
        (chosen,) = self._unpacked(_COUNT)
        for arm in one.arms:
            if arm.value == chosen:
                return {arm.name or str(chosen): self.read(arm.type, depth + 1)}
        raise XdrError(f"the union has no arm {chosen}")


class _Template(_Walk):
    """Makes examples."""

    def __init__(self, types: list[TypeInfo], enumerations: list[EnumerationInfo]) -> None:
        super().__init__(types, enumerations)
        self._left = _TEMPLATE_MAX

    def make(self, position: int, depth: int) -> Any:
        one, kind = self._enter(position, depth)
        enumeration = self._enumeration(one)
        if enumeration is not None:
            return [] if enumeration.is_flags else first_of(enumeration)
        simple: Callable[[], Any] | None = {
            TypeKind.VOID: lambda: None,
            TypeKind.DOUBLE: lambda: 0.0,
            TypeKind.BOOL: lambda: False,
            TypeKind.STRING: lambda: "",
            TypeKind.VAROPAQUE: lambda: "",
            TypeKind.CHARS: lambda: "",
            TypeKind.OPAQUE: lambda: "00" * min(one.bound, _TEMPLATE_MAX),
            TypeKind.CHAR_ARRAY: lambda: "00" * min(one.bound, _TEMPLATE_MAX),
        }.get(kind)
        if simple is not None:
            return simple()
        match kind:
            case TypeKind.OPTIONAL:
                return self.make(one.item, depth + 1)
            case TypeKind.ARRAY:
                return [self.make(one.item, depth + 1)] if one.bound else []
            case TypeKind.UNION:
                arm = one.arms[0]
                return {arm.name or str(arm.value): self.make(arm.type, depth + 1)}
            case TypeKind.STRUCT:
                return {field.name: self.make(field.type, depth + 1) for field in one.fields}
        return 0
