"""The document between two programs: the states of components, and what does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiovirt.daemons.runtime.handover.document import (
    VERSION,
    Document,
    decode,
    decode_states,
    encode,
    encode_states,
)
from aiovirt.daemons.runtime.logging import LoggingState
from aiovirt.daemons.runtime.process.failure import StartError
from aiovirt.rpc.server.restart import DaemonState

TYPES: dict[str, Any] = {"notes": list[str], "clock": int}


def document(**states: Any) -> Document:
    """A document of the daemon `x` with these states."""
    return Document(
        "x",
        {"max_clients": 5},
        LoggingState(3, "", "3:stderr", True),
        4,
        DaemonState(0, []),
        encode_states(states),
    )


def test_states_go_by_the_names_of_components() -> None:
    read = decode(encode(document(notes=["a"], clock=7)), "x")
    assert decode_states(read, TYPES) == {"notes": ["a"], "clock": 7}


def test_a_state_that_is_missing_is_left_out() -> None:
    assert decode_states(document(clock=7), TYPES) == {"clock": 7}


def test_a_state_of_an_unknown_component_is_refused_by_name() -> None:
    with pytest.raises(StartError, match="the state of cellar, which this program does not have"):
        decode_states(document(cellar=1, clock=7), TYPES)


def test_a_state_that_does_not_fit_is_refused_with_the_name_of_its_component() -> None:
    with pytest.raises(StartError, match="the state of clock in the restart document does not fit"):
        decode_states(document(clock="noon"), TYPES)


@pytest.mark.parametrize(("own", "states"), [(["a"], {"notes": ["a"]}), (None, {})])
def test_the_only_own_part_of_version_1_goes_to_the_first_component_with_a_state(
    own: object, states: dict[str, Any]
) -> None:
    old = json.loads(encode(document()))
    del old["components"]
    old |= {"version": 1, "own": own}
    read = decode(json.dumps(old).encode(), "x")
    assert decode_states(read, TYPES) == states
    assert (read.settings, read.pid_file) == ({"max_clients": 5}, 4)


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_a_version_that_is_not_known_is_refused_with_those_that_are(version: int) -> None:
    found = document()
    found.version = version
    with pytest.raises(
        StartError, match=f"has version {version}; this program reads 1 to {VERSION}"
    ):
        decode(encode(found), "x")


def test_a_document_of_another_daemon_is_refused() -> None:
    with pytest.raises(StartError, match="of 'x' is not for y"):
        decode(encode(document()), "y")
