//! What is compared with a libvirtd, what is made alike before that, and what is not simulated.

/// Documents that commands name, as (file, document).
pub(crate) const DOCUMENTS: [(&str, &str); 3] = [
    (
        "one.xml",
        "<domain type='test'><name>one</name><uuid>11111111-2222-3333-4444-555555555551</uuid>\
         <memory>65536</memory><vcpu current='1'>2</vcpu><os><type>hvm</type></os><devices>\
         <disk type='file'><source file='/x'/><target dev='vda'/></disk></devices></domain>",
    ),
    (
        "two.xml",
        "<domain type='test'><name>two</name><uuid>11111111-2222-3333-4444-555555555552</uuid><title>Two</title>\
         <memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>",
    ),
    (
        "clash.xml",
        "<domain type='test'><name>other</name><uuid>11111111-2222-3333-4444-555555555551</uuid>\
         <memory>65536</memory><os><type>hvm</type></os></domain>",
    ),
];

/// Commands of virsh that print the same, one after the other in one connection to the default node. FOLDER is
/// where the documents are.
pub(crate) const SAME: &[&str] = &[
    "list --all",
    "list --all --uuid",
    "list --state-running --name",
    "list --transient",
    "list --persistent --title",
    "list --inactive",
    "list --managed-save --with-managed-save --all",
    "list --autostart --all",
    "dominfo test",
    "domid test",
    "domuuid test",
    "domname 1",
    "domname 6695eb01-f6a4-8304-79aa-97f2502e193f",
    "domstate test --reason",
    "domcontrol test",
    "dumpxml test",
    "dumpxml test --inactive",
    "dumpxml test --migratable",
    "dumpxml test --security-info",
    "dumpxml nosuch",
    "domid nosuch",
    "vcpucount test",
    "vcpucount test --maximum --config",
    "vcpucount test --guest",
    "vcpuinfo test",
    "vcpupin test",
    "vcpupin test 0 0-3",
    "vcpupin test 1 2 --config",
    "vcpupin test",
    "dumpxml test",
    "vcpuinfo test --pretty",
    "domblklist test",
    "domiflist test",
    "domstats",
    "domstats --balloon",
    "domstats --balloon --enforce",
    "nodeinfo",
    "nodecpumap",
    "nodememstats",
    "capabilities",
    "hostname",
    "uri",
    "version",
    "sysinfo",
    "maxvcpus",
    "freecell",
    "freecell --all",
    "freecell 1",
    "freecell 9",
    "connect",
    "autostart test",
    "dominfo test",
    "autostart --disable test",
    "desc test",
    "desc test --title \"a title\"",
    "desc test \"the text\"",
    "desc test",
    "desc test --title",
    "desc test --config \"later\"",
    "desc test --config",
    "metadata test http://a.b/c",
    "metadata test http://a.b/c --key x --set \"<a><b/></a>\"",
    "metadata test http://a.b/c",
    "metadata test http://a.b/c --remove",
    "metadata test http://a.b/c",
    "setmem test 1G",
    "setmem test 100G",
    "setmaxmem test 4G",
    "setmaxmem test 4G --config",
    "dominfo test",
    "setvcpus test 1",
    "setvcpus test 3",
    "setvcpus test 40",
    "setvcpus test 4 --maximum --config",
    "setvcpus test 3 --config",
    "vcpucount test",
    "dumpxml test",
    "dumpxml test --inactive",
    "dompmsuspend test mem",
    "dompmwakeup test",
    "snapshot-list test",
    "snapshot-list test --tree",
    "snapshot-current test",
    "snapshot-info test nosuch",
    "checkpoint-list test",
    "suspend test",
    "suspend test",
    "domstate test --reason",
    "resume test",
    "resume test",
    "reboot test",
    "reset test",
    "domstate test --reason",
    "shutdown test",
    "domstate test --reason",
    "shutdown test",
    "list --all",
    "start test",
    "start test",
    "domstate test --reason",
    "list --all",
    "destroy test",
    "domstate test --reason",
    "list --all --managed-save",
    "dominfo test",
    "undefine test",
    "managedsave-remove test",
    "dominfo test",
    "start test --paused",
    "start test",
    "define FOLDER/one.xml",
    "dumpxml one",
    "list --all",
    "create FOLDER/two.xml",
    "dumpxml two",
    "list --all",
    "dominfo two",
    "autostart two",
    "domrename one uno",
    "domrename one uno",
    "domrename test uno",
    "domuuid uno",
    "start uno",
    "dumpxml uno",
    "destroy uno",
    "destroy uno",
    "destroy two",
    "list --all",
    "define FOLDER/clash.xml",
    "undefine uno",
    "undefine uno",
    "destroy test --graceful",
    "undefine test --managed-save",
    "list --all",
    "secret-list",
    "nwfilter-list",
    "nwfilter-binding-list",
];

/// What virsh prints, with the differences taken out that there are for a reason: times, which pass, and the
/// [`WORDS`].
pub(crate) fn alike(text: &str) -> String {
    let is_time = |line: &str| line.starts_with("CPU time:");
    let mut text: String = text.split_inclusive('\n').filter(|line| !is_time(line)).collect();
    for (theirs, ours) in WORDS {
        text = text.replace(theirs, ours);
    }
    text
}

/// The words of errors, libvirtd's and ours: their number and their origin, which programs go by, are the same. And
/// what libvirtd says in some versions only.
const WORDS: &[(&str, &str)] = &[
    // Since 10.1.
    (" cluster_id='0'", ""),
    // What is left of the last removed metadata element.
    ("  <metadata/>\n", ""),
    ("Range exceeds available cells", "the range lies beyond the available cells"),
    ("Requested metadata element is not present", "the domain has no such metadata element"),
];

/// Commands that libvirt's test driver simulates and this hypervisor does not, and the function that it lacks.
/// Networks, storage pools, interfaces, node devices, snapshots and checkpoints, of which libvirt's default node
/// has some, it has none of.
///
/// virsh's save, dump and managedsave are not asked, here and above: each ends the loop that it waits in from a thread
/// of its own, and waits for ever where the answer comes before the loop began.
pub(crate) const UNSUPPORTED: &[(&str, &str)] = &[
    ("dommemstat test", "virDomainMemoryStats"),
    ("domblkstat test vda", "virDomainBlockStats"),
    ("domifstat test testnet0", "virDomainInterfaceStats"),
    ("nodecpustats", "virNodeGetCPUStats"),
    ("cpu-models x86_64", "virConnectGetCPUModelNames"),
    ("freepages --all", "virNodeGetFreePages"),
    ("screenshot test /nowhere", "virDomainScreenshot"),
    ("send-key test 1", "virDomainSendKey"),
    ("inject-nmi test", "virDomainInjectNMI"),
    ("schedinfo test", "virDomainGetSchedulerType"),
    ("memtune test", "virDomainGetMemoryParameters"),
    ("numatune test", "virDomainGetNumaParameters"),
    ("perf test", "virDomainGetPerfEvents"),
    ("domfsinfo test", "virDomainGetFSInfo"),
    ("domtime test", "virDomainGetTime"),
    ("emulatorpin test", "virDomainGetEmulatorPinInfo"),
    ("snapshot-create test", "virDomainSnapshotCreateXML"),
];
