"""What a virtd with TLS on loopback needs."""

from __future__ import annotations

import socket

from tests import harness


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(folder: str, port: int) -> harness.Settings:
    """With the files that `rpc.security.pki.create` made in `folder`."""
    return {
        "listen_tls": 1,
        "listen_addr": "127.0.0.1",
        "tls_port": str(port),
        "ca_file": f"{folder}/cacert.pem",
        "crl_file": f"{folder}/cacrl.pem",
        "cert_file": f"{folder}/servercert.pem",
        "key_file": f"{folder}/private/serverkey.pem",
    }
