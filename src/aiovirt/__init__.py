"""The libvirt RPC protocol and its admin API on asyncio.

- `aiovirt.rpc`: the RPC core. `aiovirt.rpc.client` calls any server of this protocol,
  `aiovirt.rpc.server` serves programs, `aiovirt.rpc.wire` declares them.
- `aiovirt.admin`: the admin program; `aiovirt.admin.client` is its async API.
- `aiovirt.daemons`: the daemons `virtd`, `lockd` and `logd`, and `runtime`, on which they are built.

The three subpackages are links to folders at the top of the source tree.
"""

from __future__ import annotations

from typing import Final

__all__ = ["__version__"]

#: The version of this distribution, the only place where it is written.
__version__: Final = "0.1.0"
