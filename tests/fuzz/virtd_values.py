"""Arguments for any procedure of virtd, made from its declaration and from the world it meets.

An input is a list of choices, so that a fuzzer that changes a byte changes one choice: which procedure,
which object, which number. Values that exist and values that do not are mixed in every place.
"""

from __future__ import annotations

from typing import Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.parts import PARTS, QEMU_PARTS
from aiovirt.daemons.virtd.dispatch.serving import served
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.typedparams import ParamType, ParamValue, TypedParam
from tests.fuzz.virtd_world import DEVICES, DOCUMENTS, FIELDS, NAMES, PARAMETERS, WORDS, filled
from tests.property.wire_values import RANGES

#: The longest string and array that a call has, mostly; a big one is this much of its bound.
_BIG: Final = 70_000
_NUMBERS: Final = (0, 1, 2, 3, 4, 5, 8, 16, 31, 64, 100, 1000, 4096, 65536, 1 << 20, 1 << 30)
_EVIL: Final = (
    *("", "a/b", "a\nb", "../../etc/passwd", "\udcff", "\N{SNOWMAN}", "%s%n", "'\"<&>]]>", " "),
    *("-1", "18446744073709551616", "1" + "0" * 1000, "0-4294967295", "0,^0", "^", "0-,", "\x01"),
    *(
        "x" * 4096,
        "xml",
        "xmlns",
        "{a}b",
        "a b",
        "é" * 200,
        "0x10",
        "1e9",
        "nan",
        ".",
        "..",
        "/",
        "//",
        "é\u202e",
    ),
)

#: Numbers of these names are those of a list of a few.
_SMALL: Final = frozenset(
    (
        *("type", "section", "command", "eventID", "callbackID", "vcpu", "iothread_id", "cpuNum"),
        *(
            "parentIndex",
            "nparams",
            "target",
            "codeset",
            "usageType",
            "sparse",
            "impact",
            "algorithm",
        ),
    )
)
#: The structs that name objects, by the kind of the procedure.
_STRUCTS: Final = {
    "domain": "NonnullDomain",
    "network": "NonnullNetwork",
    "pool": "NonnullStoragePool",
    "volume": "NonnullStorageVol",
    "nwfilter": "NonnullNwfilter",
    "interface": "NonnullInterface",
    "device": "NonnullNodeDevice",
    "snapshot": "NonnullDomainSnapshot",
    "checkpoint": "NonnullDomainCheckpoint",
}


class Choices:
    """Decisions taken from the bytes of an input, one byte each."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte; 0 after the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def below(self, count: int) -> int:
        """A number below `count`."""
        value = self.byte()
        return (value if count <= 256 else value << 8 | self.byte()) % count

    def one(self, items: Any) -> Any:
        """One of the items."""
        return items[self.below(len(items))]

    def rarely(self) -> bool:
        """True for one byte in eight."""
        return self.byte() >= 224


class Arguments:
    """Makes arguments.

    Args:
        choices: the decisions.
        uuids: those of the objects in the world, by name.
        driver: the one that is called.
    """

    def __init__(self, choices: Choices, uuids: dict[str, bytes], driver: str) -> None:
        self._choices = choices
        self._driver = driver
        self._uuids = uuids
        self._name = ""
        self._procedure = ""

    def of(self, procedure: Procedure[Any, Any]) -> Any:
        """The arguments of a call."""
        self._procedure = procedure.name
        return self._struct(procedure.args) if xdr.fields_of(procedure.args) else None

    def _struct(self, cls: type) -> Any:
        if cls is TypedParam:
            return self._parameter()
        found = {name: self._field(cls, name, codec) for name, codec in xdr.fields_of(cls)}
        if "uuid" in found and not self._choices.rarely():
            # An object is found by its UUID, by its name, or by both.
            name = "secret" if cls is protocol.NonnullSecret else str(found.get("name"))
            found["uuid"] = self._uuids.get(name, found["uuid"])
        return cls(**found)

    def _field(self, cls: type, name: str, codec: xdr.Codec) -> Any:
        self._name = name
        if name == "flags":
            return self._flags()
        if name == "name" and cls.__name__ in NAMES and not self._choices.rarely():
            return self._choices.one(NAMES[cls.__name__])
        return self._value(codec)

    def _flags(self) -> int:
        choices = self._choices
        match choices.below(8):
            case 0 | 1 | 2:
                return 0
            case 3 | 4:
                return choices.below(8)
            case 5:
                return 1 << choices.below(32)
            case 6:
                return choices.byte() << 8 | choices.byte()
        return choices.one((0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 3))  # type: ignore[no-any-return]  # Any

    def _value(self, codec: xdr.Codec) -> Any:
        choices = self._choices
        match codec:
            case xdr.Scalar(convert=None, format="d"):
                return choices.one((0.0, -0.0, 1.5, -1.0, 1e300, float("inf"), float("nan")))
            case xdr.Scalar(convert=None):
                return self._number(codec.format)
            case xdr.Scalar():
                return bool(choices.byte() & 1)
            case xdr.String():
                return self._text(codec.maximum)
            case xdr.Opaque():
                return choices.one((*self._uuids.values(), bytes(16), b"\xff" * 16))[: codec.size]
            case xdr.VarOpaque():
                size = choices.one((0, 1, 1, 2, 4, 8, 17, min(codec.maximum, _BIG)))
                return bytes((choices.byte(),)) * min(size, codec.maximum)
            case xdr.Array():
                return self._items(codec)
            case xdr.Optional():
                return None if choices.byte() & 1 else self._value(xdr.codec_of(codec.item))
            case xdr.Struct():
                return self._struct(codec.cls)
            case xdr.Union():
                kind = choices.one(tuple(codec.arms))
                return codec.make(kind, self._value(xdr.codec_of(codec.arms[kind])))
        raise TypeError(f"no values for {codec!r}: teach this module the new codec")

    def _number(self, form: str) -> int:
        low, high = RANGES[form]
        if self._name in _SMALL and not self._choices.rarely():
            return self._choices.below(10)
        number = self._choices.one((*_NUMBERS, *_NUMBERS, low, high, low + 1, high - 1, -1, -2))
        return max(low, min(high, int(number)))

    def _items(self, codec: xdr.Array) -> list[Any]:
        count = self._choices.one((0, 1, 1, 1, 2, 2, 3, 4))
        items = [self._value(xdr.codec_of(codec.item)) for _ in range(min(count, codec.maximum))]
        if items and self._choices.byte() == 255:
            items *= min(codec.maximum, 1024) // len(items)
        return items

    def _text(self, maximum: int) -> str:
        choices = self._choices
        if "xml" in self._name.lower() or self._name == "description":
            text = self._document()
        elif choices.rarely():
            text = choices.one(_EVIL)
        else:
            likely = self._likely()
            text = choices.one(likely if likely and choices.byte() & 3 else WORDS)
        return text.encode("utf-8", "surrogateescape")[:maximum].decode("utf-8", "surrogateescape")

    def _likely(self) -> tuple[str, ...]:
        """Strings that exist, for a field of this name."""
        if self._name in ("name", "parentName"):
            return NAMES.get(_STRUCTS.get(self._kind(), ""), ())
        return FIELDS.get(self._name, ())

    def _document(self) -> str:
        """A document, of the kind that the procedure takes or of another one, as it is or changed."""
        choices = self._choices
        if "DEVICE" in self._procedure and not self._procedure.startswith("NODE"):
            pool: tuple[str, ...] = DEVICES
        else:
            pool = DOCUMENTS.get(self._kind(), sum(DOCUMENTS.values(), ()))
        text = choices.one(sum(DOCUMENTS.values(), DEVICES) if choices.rarely() else pool)
        text = filled(text, self._driver)
        match choices.below(8) if text else 0:
            case 0 | 1 | 2:
                return text
            case 3:
                return self._with_another_value(text)
            case 4:
                at = choices.below(len(text))
                return str(text[:at] + chr(choices.byte() or 1) + text[at + 1 :])
            case 5:
                at = choices.below(len(text))
                return str(text[:at] + text[at + choices.byte() :])
            case 6:
                return self._with_a_piece_again(text)
        return str(text).replace(
            "1", choices.one(("-1", "0", "9" * 20, "1" + "0" * 999, "0x1", ""))
        )

    def _kind(self) -> str:
        name = self._procedure
        for part, kind in (
            *(("SNAPSHOT", "snapshot"), ("CHECKPOINT", "checkpoint"), ("STORAGE_VOL", "volume")),
            *(("STORAGE_POOL", "pool"), ("NETWORK_PORT", "port"), ("NETWORK_UPDATE", "section")),
            *(("NWFILTER_BINDING", "binding"), ("NWFILTER", "nwfilter"), ("NETWORK", "network")),
            *(("SECRET", "secret"), ("INTERFACE", "interface"), ("NODE_DEVICE", "device")),
            ("DOMAIN", "domain"),
        ):
            if part in name:
                return kind
        return ""

    def _with_another_value(self, text: str) -> str:
        """Put another value between two quotes or two tags."""
        ends = [at for at, one in enumerate(text) if one in "'<"]
        begins = [at for at, one in enumerate(text) if one in "'>"] or [0]
        begin = self._choices.one(begins)
        end = min((at for at in ends if at > begin), default=len(text))
        value = self._choices.one((*_EVIL, *WORDS))
        return text[: begin + 1] + value + text[end:]

    def _with_a_piece_again(self, text: str) -> str:
        """Repeat an element, or what looks like one."""
        begins = [at for at, one in enumerate(text) if one == "<"] or [0]
        begin, end = sorted((self._choices.one(begins), self._choices.one(begins)))
        return text[:end] + text[begin:end] * self._choices.one((1, 1, 2, 3, 40, 300)) + text[end:]

    def _parameter(self) -> TypedParam:
        choices = self._choices
        name, kind = choices.one(PARAMETERS)
        if choices.rarely():
            name = choices.one((*_EVIL, *WORDS))
        if choices.rarely():
            kind = choices.one(tuple(ParamType))
        forms = {
            ParamType.INT: "i",
            ParamType.UINT: "I",
            ParamType.LLONG: "q",
            ParamType.ULLONG: "Q",
        }
        content: int | float | bool | str
        if kind in forms:
            content = self._number(forms[kind])
        elif kind == ParamType.DOUBLE:
            content = choices.one((0.0, -1.0, 1e300, float("nan")))
        elif kind == ParamType.BOOLEAN:
            content = bool(choices.byte() & 1)
        else:
            content = choices.one((*WORDS, *_EVIL))
        return TypedParam(name, ParamValue(kind, content))


def procedures() -> list[Procedure[Any, Any]]:
    """Every procedure of the two programs that a client may call once it has opened a driver.

    Those that are served follow twice more, so that chance finds them more often than the others.
    """
    found = [
        one
        for program in (protocol.REMOTE, protocol.QEMU)
        for one in program
        if not one.event and one.name not in _NOT_CALLED
    ]
    handled = set(served((*PARTS, *QEMU_PARTS)))
    return [*found, *2 * [one for one in found if one in handled]]


#: These end the connection, or begin it, or take as long as the bandwidth that they are given says.
_NOT_CALLED: Final = frozenset(
    (
        *("CONNECT_OPEN", "CONNECT_CLOSE", "AUTH_LIST", "AUTH_POLKIT"),
        *("AUTH_SASL_INIT", "AUTH_SASL_START", "AUTH_SASL_STEP"),
        *("DOMAIN_MIGRATE_PERFORM3", "DOMAIN_MIGRATE_PERFORM3_PARAMS"),
    )
)
