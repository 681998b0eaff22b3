"""The toy hypervisor: hosts, with everything on them, and no RPC.

Nothing here knows clients or procedures; of `rpc` it uses the errors, since libvirt's codes and
domains are what a hypervisor's refusals are made of. `dispatch` turns calls into what is here, and
events into messages.

An object of a host (a domain, a network) is an `Entry`: an immutable record, replaced as a whole by each
change. A change is in the store before it is in memory, and in memory before it is answered, so what was
answered survives the end of the process at any moment.
"""
