"""Names for numbers: in descriptions and JSON, a number of an enumeration has its name."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import get_type_hints

import pytest

from aiovirt.admin.extension.description import describe
from aiovirt.admin.json_scalars import JsonError
from aiovirt.admin.json_values import JsonCodec
from aiovirt.daemons.reference import programs
from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.naming import Named
from aiovirt.rpc.wire.program import Program


def _references() -> Iterator[tuple[str, Named]]:
    """Every reference of the two programs to enumerations, with its place."""
    seen: set[type] = set()
    for program in (protocol.REMOTE, protocol.QEMU):
        for procedure in program:
            if isinstance(procedure.flag_names, Named):
                yield procedure.name, procedure.flag_names
    for value in vars(protocol).values():
        if isinstance(value, type) and "__xdr__" in vars(value) and value not in seen:
            seen.add(value)
            for name, hint in get_type_hints(value, include_extras=True).items():
                for extra in getattr(hint, "__metadata__", ()):
                    if isinstance(extra, Named):
                        yield f"{value.__name__}.{name}", extra


class TestPrograms:
    @pytest.mark.parametrize("program", programs(), ids=lambda one: one.name)
    def test_enumerations_beside_a_table_name_its_numbers(self, program: Program) -> None:
        described = [describe(one) for one in program]
        named = {one.name for each in described for one in each.enumerations}
        modules = {sys.modules[one.args.__module__] for one in program}
        beside = {
            name
            for module in modules
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, IntEnum | IntFlag)
            and value.__module__ == module.__name__
        }
        assert beside <= named


class TestReferences:
    def test_every_reference_leads_to_enumerations(self) -> None:
        found = list(_references())
        assert len(found) > 200
        for place, reference in found:
            flags = {issubclass(one, IntFlag) for one in reference.load()}
            assert len(flags) == 1, place

    def test_every_enumeration_that_a_document_names_is_referred_to(self) -> None:
        referred = {cls.__name__ for _, reference in _references() for cls in reference.load()}
        for name, cls in vars(protocol).items():
            text = inspect.getdoc(cls) or "" if isinstance(cls, type) else ""
            for words in re.findall(r"\bflags: ([A-Z]\w+(?:\s\|\s\w+)*)", text):
                assert set(re.split(r"\s\|\s", words)) <= referred, name

    def test_flags_with_names_are_not_checked_by_the_table(self) -> None:
        assert protocol.DOMAIN_GET_XML_DESC.flags is None
        assert protocol.DOMAIN_GET_XML_DESC.flag_names is not None

    def test_tables_do_not_load_the_constants(self) -> None:
        program = (
            "import sys, aiovirt.daemons.virtd.protocol; "
            "print([one for one in sys.modules if 'virtd.constants.' in one])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert done.stdout == b"[]\n"

    def test_flags_and_fields_are_json_by_name(self) -> None:
        described = describe(protocol.CONNECT_LIST_ALL_DOMAINS)
        codec = JsonCodec(described)
        data = codec.encode(described.args, {"need_results": 1, "flags": ["ACTIVE", "persistent"]})
        assert xdr.decode(protocol.ListAllArgs, data) == protocol.ListAllArgs(1, 1 | 4)
        with pytest.raises(JsonError, match=r"has no 'ACTIV'; did you mean .*ACTIVE"):
            codec.encode(described.args, {"need_results": 1, "flags": ["ACTIV"]})
        state = describe(protocol.DOMAIN_GET_STATE)
        answer = xdr.encode(protocol.DomainGetStateRet(5, 2))
        assert JsonCodec(state).decode(state.result, answer) == {"state": "SHUTOFF", "reason": 2}

    def test_two_enumerations_name_the_flags_of_one_procedure(self) -> None:
        described = describe(protocol.DOMAIN_GET_MEMORY_PARAMETERS)
        (flags,) = described.enumerations
        assert flags.name == "DomainModificationImpact | TypedParameterFlags"
        assert {one.name: one.value for one in flags.members}["STRING_OKAY"] == 4

    def test_items_of_a_list_have_names(self) -> None:
        described = describe(protocol.AUTH_LIST)
        answer = xdr.encode(protocol.AuthListRet([0, 2]))
        decoded = JsonCodec(described).decode(described.result, answer)
        assert decoded == {"types": ["NONE", "POLKIT"]}
