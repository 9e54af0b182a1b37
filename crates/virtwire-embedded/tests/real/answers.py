"""Every call of the hypervisor through libvirt's Python module: its answer, or the number and origin of its error."""
import sys
import libvirt

libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(sys.argv[1])


def show(value):
    if isinstance(value, libvirt.virDomain):
        return "domain %s %s %d" % (value.name(), value.UUIDString(), value.ID())
    if isinstance(value, list) and value and isinstance(value[0], (tuple, libvirt.virDomain)):
        # Of domains; libvirtd lists them in any order.
        return "[" + ", ".join(sorted(show(item) for item in value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join("%s: %s" % (key, show(item)) for key, item in sorted(value.items())) + "}"
    return repr(value)


def ask(name, *arguments):
    """Calls a method of `conn`, or with a domain first of that domain."""
    target, rest = conn, arguments
    if arguments and isinstance(arguments[0], libvirt.virDomain):
        target, rest = arguments[0], arguments[1:]
    try:
        answer = show(getattr(target, name)(*rest))
    except libvirt.libvirtError as error:
        answer = "error %s of %s, level %s, numbers %s %s" % (
            error.get_error_code(), error.get_error_domain(), error.get_error_level(),
            error.get_int1(), error.get_int2())
    print("%s%s: %s" % (name, show(rest), answer))


XML = """<domain type='test'><name>%s</name><uuid>11111111-2222-3333-4444-55555555555%d</uuid><memory>65536</memory>
<vcpu>4</vcpu><os><type>hvm</type></os></domain>"""
test = conn.lookupByName("test")

for name in ["getType", "getVersion", "isSecure", "isEncrypted", "isAlive", "getInfo", "getSysinfo", "getHostname",
             "getSecurityModel", "getFreeMemory", "numOfDomains", "listDomainsID", "numOfDefinedDomains",
             "listDefinedDomains", "getCPUMap"]:
    ask(name)
ask("getMaxVcpus", "nonsense")
ask("getMaxVcpus", None)
for start, count in [(0, 1), (0, 2), (0, 50), (1, 1), (2, 1), (-1, 1), (0, 0), (0, 1024), (0, 1025)]:
    ask("getCellsFreeMemory", start, count)
for flags in [0, 1]:
    ask("getSysinfo", flags)
    ask("getCPUMap", flags)
for name in ["test", "", "nosuch"]:
    ask("lookupByName", name)
for number in [1, 2, 0, -1, 2**31 - 1]:
    ask("lookupByID", number)
ask("lookupByUUIDString", "6695eb01-f6a4-8304-79aa-97f2502e193f")
ask("lookupByUUIDString", "00000000-0000-0000-0000-000000000000")
for bit in range(18):
    ask("listAllDomains", 1 << bit)

for name in ["name", "ID", "UUIDString", "OSType", "isActive", "isPersistent", "isUpdated", "hasManagedSaveImage",
             "state", "maxMemory", "maxVcpus", "autostart", "securityLabel", "hostname", "controlInfo",
             "vcpuPinInfo", "hasCurrentSnapshot", "snapshotNum", "snapshotListNames", "listAllSnapshots",
             "listAllCheckpoints", "XMLDesc"]:
    ask(name, test)
print(test.info()[:4])
infos, maps = test.vcpus()
print([(info[0], info[1], info[3]) for info in infos], maps)
for flags in [1, 2, 4, 8, 16, 1 << 20]:
    ask("XMLDesc", test, flags)
    ask("state", test, flags)
    ask("vcpusFlags", test, flags)
    ask("vcpusFlags", test, flags | 1)
    ask("reboot", test, flags)
    ask("reset", test, flags)
    ask("shutdownFlags", test, flags)
    ask("hasManagedSaveImage", test, flags)
    ask("managedSaveRemove", test, flags)
    ask("hostname", test, flags)
    ask("controlInfo", test, flags)

ask("snapshotLookupByName", test, "nosuch")
ask("checkpointLookupByName", test, "nosuch")
ask("snapshotCurrent", test)

ask("pinVcpu", test, 0, (True, False, True))
ask("pinVcpu", test, 7, (True,))
ask("pinVcpuFlags", test, 0, (True,), 1)
ask("vcpuPinInfo", test)
for flags in [0, 1, 2, 3]:
    ask("vcpuPinInfo", test, flags)

for memory in [0, 1, 2**21, 2**30]:
    for flags in [0, 1, 2, 3, 4, 5, 6, 8]:
        ask("setMemoryFlags", test, memory, flags)
    ask("setMemory", test, memory)
    ask("setMaxMemory", test, memory)
for count in [0, 1, 2, 3, 33]:
    for flags in [0, 1, 2, 3, 4, 5, 6, 7, 8]:
        ask("setVcpusFlags", test, count, flags)
    ask("setVcpus", test, count)
print(test.info()[:4])
for kind in [0, 1, 2, 3]:
    for uri in [None, "urn:x"]:
        for flags in [0, 1, 2, 3, 4]:
            ask("metadata", test, kind, uri, flags)
            ask("setMetadata", test, kind, "<a/>", "k" if uri else None, uri, flags)
            ask("metadata", test, kind, uri, flags)
            ask("setMetadata", test, kind, None, None, uri, flags)
ask("setMetadata", test, 1, "two\nlines", None, None, 0)
ask("setMetadata", test, 2, "<a", "k", "urn:x", 0)

for value in [1, 0, 2, -1]:
    ask("setAutostart", test, value)
    ask("autostart", test)

ask("defineXML", XML % ("one", 1))
ask("defineXMLFlags", XML % ("one", 1), 1)
ask("defineXMLFlags", XML % ("one", 1), 2)
ask("defineXML", XML % ("one", 2))
ask("defineXML", XML % ("two", 1))
ask("defineXML", "<domain/>")
ask("defineXML", "<a")
ask("defineXML", "<other/>")
ask("createXML", XML % ("three", 3), 0)
ask("createXML", XML % ("three", 3), 0)
ask("createXML", XML % ("one", 1), 1 << 10)
one, three = conn.lookupByName("one"), conn.lookupByName("three")
for name in ["create", "create", "suspend", "suspend", "resume", "resume", "reboot", "reset", "shutdown", "shutdown",
             "create", "destroy", "destroy", "suspend", "resume", "reset", "managedSave", "create", "managedSave",
             "hasManagedSaveImage", "undefine", "managedSaveRemove", "create"]:
    ask(name, one)
    ask("state", one)
    ask("ID", conn.lookupByName("one"))
for flags in [1, 2, 4, 8]:
    ask("createWithFlags", one, flags)
    ask("destroyFlags", three, flags)
    ask("undefineFlags", one, flags & ~1)
ask("rename", one, "uno")
ask("destroy", conn.lookupByName("one") if "one" in [it.name() for it in conn.listAllDomains()] else one)
ask("undefine", three)
ask("listAllDomains")
ask("defineXML", XML % ("four", 4))
four = conn.lookupByName("four")
for name in ["", "test", "four", "a/b", "vier", "vier"]:
    ask("rename", four, name)
four = conn.lookupByName("vier")
ask("getAllDomainStats")
ask("getAllDomainStats", 2)
ask("getAllDomainStats", 2, 1 << 31)
ask("getAllDomainStats", 0, 2)
ask("getAllDomainStats", 0, 1 << 10)
ask("domainListGetStats", [four], 1)
ask("undefine", four)
for name in ["state", "info", "isActive", "isPersistent", "autostart", "XMLDesc", "create", "destroy", "undefine",
             "maxMemory", "snapshotNum", "vcpuPinInfo"]:
    ask(name, four)
for name in ["numOfSecrets", "listAllSecrets", "listAllNWFilters", "numOfNWFilters", "listNWFilterBindings"]:
    if hasattr(conn, name):
        ask(name)
ask("networkLookupByName", "nosuch")
ask("storagePoolLookupByName", "nosuch")
ask("interfaceLookupByName", "nosuch")
ask("nodeDeviceLookupByName", "nosuch")
ask("networkLookupByUUIDString", "00000000-0000-0000-0000-000000000000")
ask("storagePoolLookupByUUIDString", "00000000-0000-0000-0000-000000000000")
ask("interfaceLookupByMACString", "00:00:00:00:00:00")
ask("jobInfo", test)
ask("blockJobInfo", test, "vda")
