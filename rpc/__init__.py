"""The RPC core: the libvirt RPC protocol on asyncio, knowing nothing of any particular program."""
