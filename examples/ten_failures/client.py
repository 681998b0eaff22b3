"""A client of libvirt that lives through ten failures; scenario.toml beside it makes them.

    python3 client.py qemu+unix:///system?socket=/run/aiovirt/virtd-sock

It needs libvirt's Python binding only. After each failure it says what it saw, and goes on.
"""

import sys
import threading
import time

import libvirt

GUEST = """
<domain type='kvm'>
  <name>{}</name><memory unit='MiB'>512</memory><os><type arch='x86_64'>hvm</type></os>
  <devices><disk type='file' device='disk'>
    <source file='/images/{}.img'/><target dev='vda' bus='virtio'/>
  </disk></devices>
</domain>
"""


class Client:
    """A connection that is opened again whenever it breaks. told: the guests of its events."""

    def __init__(self, uri):
        self.uri = uri
        self.told = []
        self.failures = 0
        self.connect()

    def connect(self):
        """Open the connection, with a keepalive of one second."""
        self.connection = libvirt.open(self.uri)
        self.connection.setKeepAlive(1, 1)
        lifecycle = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        self.connection.domainEventRegisterAny(None, lifecycle, self.tell, None)

    def tell(self, connection, domain, event, detail, opaque):
        """Note an event."""
        self.told.append(domain.name())

    def guest(self):
        """The guest."""
        return self.connection.lookupByName("web")

    def saw(self, what):
        """Say that a failure was seen."""
        self.failures += 1
        print(f"{self.failures}. {what}", flush=True)

    def fails(self, call, code):
        """Make a call that has to fail with this code."""
        try:
            call()
        except libvirt.libvirtError as error:
            if error.get_error_code() != code:
                raise
            self.saw(f"{error.get_error_code()}/{error.get_error_domain()}: {error}")
            return
        raise AssertionError(f"{call} did not fail")

    def breaks(self, call, code=libvirt.VIR_ERR_SYSTEM_ERROR):
        """Make a call at which the connection breaks, and connect again."""
        self.fails(call, code)
        if self.connection.isAlive():
            raise AssertionError("the connection is alive")
        self.connect()


def until(thing):
    """Wait for a thing."""
    deadline = time.monotonic() + 30
    while not thing():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
        time.sleep(0.01)


def main(uri):
    """Live through them. Returns the exit status."""
    libvirt.registerErrorHandler(lambda context, error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=events, daemon=True).start()
    client = Client(uri)
    client.connection.defineXML(GUEST.format("web", "web"))

    # 1, 2: errors, as any call of libvirt can have them.
    client.fails(client.guest, libvirt.VIR_ERR_NO_MEMORY)
    client.fails(client.guest().create, libvirt.VIR_ERR_OPERATION_FAILED)
    client.guest().create()

    # 3: a slow answer.
    begin = time.monotonic()
    client.connection.getHostname()
    if time.monotonic() - begin < 0.3:
        raise AssertionError("it was not slow")
    client.saw("slow, and answered")

    # 4, 5: the connection breaks, and only the guest knows whether the work was done.
    client.breaks(client.guest().destroy)
    if not client.guest().isActive():
        raise AssertionError("it was destroyed")
    client.breaks(client.guest().suspend)
    if client.guest().state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        raise AssertionError("it was not suspended")
    client.guest().resume()

    # 6: it breaks in the middle of a reply.
    client.breaks(client.guest().XMLDesc)

    # 7, 8: an event is lost, and another comes twice.
    client.told.clear()
    client.connection.defineXML(GUEST.format("lost", "lost"))
    client.connection.defineXML(GUEST.format("twice", "twice"))
    client.connection.defineXML(GUEST.format("last", "last"))
    until(lambda: "last" in client.told)
    if client.told != ["twice", "twice", "last"]:
        raise AssertionError(client.told)
    client.saw("an event was lost")
    client.saw("an event came twice")

    # 9: the daemon falls silent, and the keepalive ends the connection.
    client.breaks(client.connection.getInfo, libvirt.VIR_ERR_INTERNAL_ERROR)

    # 10: the guest loses its disk while the client waits for an answer.
    client.connection.getFreeMemory()
    paused = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]
    if client.guest().state() != paused:
        raise AssertionError(client.guest().state())
    client.saw(f"the disk failed: {client.guest().diskErrors()}")
    client.guest().resume()
    return 0 if client.failures == 10 else 1


def events():
    """Let libvirt's event loop run."""
    while True:
        libvirt.virEventRunDefaultImpl()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
