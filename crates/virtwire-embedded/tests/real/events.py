"""Registers for events in every way, acts on another connection, and prints what comes."""
import sys
import threading
import libvirt

libvirt.virEventRegisterDefaultImpl()
libvirt.registerErrorHandler(lambda *_: None, None)
stopped = threading.Event()


def loop():
    while not stopped.is_set():
        libvirt.virEventRunDefaultImpl()


threading.Thread(target=loop, daemon=True).start()
heard, changed = [], threading.Condition()


def hear(*what):
    with changed:
        heard.append(what)
        changed.notify()


def expect(count):
    """Prints the next events in a fixed order of the ways that they came."""
    with changed:
        if not changed.wait_for(lambda: len(heard) >= count, 10):
            print("missing:", count, "wanted,", len(heard), "came")
        for event in sorted(heard, key=lambda event: event[0]):
            print(*event)
        heard.clear()


watching, acting = libvirt.open(sys.argv[1]), libvirt.open(sys.argv[1])
XML = """<domain type='test'><name>one</name><uuid>11111111-2222-3333-4444-555555555551</uuid><memory>65536</memory>
<os><type>hvm</type></os></domain>"""
one = acting.defineXML(XML)


def lifecycle(way):
    return lambda conn, dom, event, detail, _: hear(way, dom.name(), dom.ID(), event, detail)


def metadata(way):
    return lambda conn, dom, kind, uri, _: hear(way, dom.name(), kind, uri)


old = lambda conn, dom, event, detail, _: hear("old", dom.name(), dom.ID(), event, detail)
watching.domainEventRegister(old, None)
all_of_all = watching.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle("all"), None)
of_one = watching.domainEventRegisterAny(
    watching.lookupByName("one"), libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle("one"), None)
of_test = watching.domainEventRegisterAny(
    watching.lookupByName("test"), libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle("test"), None)
changes = watching.domainEventRegisterAny(
    None, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata("metadata"), None)
for event in [libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED]:
    watching.domainEventRegisterAny(None, event, lambda *_: hear("never"), None)
for event in [-1, 99]:
    try:
        watching.domainEventRegisterAny(None, event, lambda *_: None, None)
    except (libvirt.libvirtError, KeyError) as error:
        print("refused", event)

for act in [one.create, one.suspend, one.resume, one.shutdown, one.create, one.managedSave, one.create, one.destroy]:
    act()
    expect(3)
acting.lookupByName("test").suspend()
expect(3)
one.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "a title", None, None, 0)
expect(1)
one.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<a/>", "k", "urn:x", 0)
expect(1)
one.rename("two")
expect(6)
acting.lookupByName("two").rename("one")
expect(6)

watching.domainEventDeregister(old)
watching.domainEventDeregisterAny(of_test)
one.create()
expect(2)
watching.domainEventDeregisterAny(all_of_all)
one.destroy()
expect(1)
one.undefine()
expect(1)
watching.domainEventDeregisterAny(of_one)
acting.createXML(XML, 0)
acting.lookupByName("one").setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "text", None, None, 0)
# Only that: what was deregistered would have come before.
expect(1)
acting.lookupByName("one").destroy()
watching.domainEventDeregisterAny(changes)
stopped.set()
