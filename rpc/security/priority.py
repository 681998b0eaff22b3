"""GnuTLS priority strings, as `tls_priority` has them, put into OpenSSL's terms.

Understood is what people write there: a level (NORMAL, PFS, SECURE128, SECURE192, SECURE256, or a
`@NAME` of the system's policy, which stands for NORMAL), then versions of TLS to take away or add. What
else there may be is refused, since a wish for security must not be ignored.

Source: GnuTLS's manual, "Priority strings".
"""

from __future__ import annotations

import ssl
from typing import Final

#: OpenSSL's security level for each of GnuTLS's: 1 is 80 bits, 2 is 112, 3 is 128, 4 is 192, 5 is 256.
_LEVELS: Final = {"NORMAL": 2, "PFS": 2, "SECURE128": 3, "SECURE192": 4, "SECURE256": 5}
_EPHEMERAL: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
_VERSIONS: Final = {"VERS-TLS1.2": ssl.TLSVersion.TLSv1_2, "VERS-TLS1.3": ssl.TLSVersion.TLSv1_3}
#: What changes nothing here: these versions are never spoken, and the order is the server's.
_OLD: Final = {"VERS-SSL3.0", "VERS-TLS1.0", "VERS-TLS1.1", "VERS-DTLS1.0", "VERS-DTLS1.2"}
_MODIFIERS: Final = {"%SERVER_PRECEDENCE", "%SAFE_RENEGOTIATION", "%COMPAT"}


def apply_priority(priority: str, context: ssl.SSLContext) -> None:
    """Set a context up as a priority string says; an empty one stands for NORMAL.

    TLS 1.2 is the least in any case. Raises ValueError for what is not understood.
    """
    versions = set(_VERSIONS.values())
    first, *rest = (priority or "NORMAL").split(":")
    if first.startswith("@") or first == "SYSTEM":
        level = "NORMAL"
    elif first in _LEVELS:
        level = first
    else:
        raise ValueError(f"it begins with {', '.join(_LEVELS)} or @NAME, not {first!r}")
    for word in rest:
        name = word[1:]
        if word in _MODIFIERS or (word[:1] in ("-", "+", "!") and name in _OLD):
            continue
        if word[:1] in ("-", "!") and name in ("VERS-ALL", "VERS-TLS-ALL"):
            versions.clear()
        elif word[:1] in ("-", "!") and name in _VERSIONS:
            versions.discard(_VERSIONS[name])
        elif word[:1] == "+" and name in _VERSIONS:
            versions.add(_VERSIONS[name])
        elif word[:1] == "+" and name in ("VERS-ALL", "VERS-TLS-ALL"):
            versions = set(_VERSIONS.values())
        else:
            raise ValueError(
                f"{word!r} is not understood: versions of TLS can be taken away or added"
            )
    if not versions:
        raise ValueError("no version of TLS is left")
    context.minimum_version = min(versions)
    context.maximum_version = max(versions)
    ciphers = _EPHEMERAL if level == "PFS" else "DEFAULT"
    context.set_ciphers(f"{ciphers}:@SECLEVEL={_LEVELS[level]}")
