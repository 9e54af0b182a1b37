//! What a node says of itself: its size, its cells, and the documents that describe it.

use std::fmt::Write as _;

/// The size of a node. C: `virNodeInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The CPUs' model, of 31 bytes at most.
    pub model: String,
    /// The memory's size in KiB.
    pub memory: u64,
    /// How many CPUs are active.
    pub cpus: u32,
    /// The CPUs' frequency in MHz.
    pub mhz: u32,
    /// How many NUMA cells there are.
    pub nodes: u32,
    /// How many sockets a cell has.
    pub sockets: u32,
    /// How many cores a socket has.
    pub cores: u32,
    /// How many threads a core has.
    pub threads: u32,
}

impl Default for NodeInfo {
    fn default() -> Self {
        Self {
            model: "i686".to_owned(),
            memory: 3 * 1024 * 1024,
            cpus: 16,
            mhz: 1400,
            nodes: 2,
            sockets: 2,
            cores: 2,
            threads: 2,
        }
    }
}

/// The security model of a node. C: `virSecurityModel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityModel {
    /// The model's name.
    pub model: &'static str,
    /// The domain that its labels are from.
    pub doi: &'static str,
}

/// The one model there is.
pub(crate) const SECURITY_MODEL: SecurityModel = SecurityModel { model: "testSecurity", doi: "" };

/// A NUMA cell. Sizes are in KiB, although the call that asks for them promises bytes: so does the test driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) memory: u64,
    pub(crate) free: u64,
    cpus: u32,
    /// The size of its smallest pages in KiB.
    page: u64,
}

/// The cells of the default node.
pub(crate) fn default_cells() -> Vec<Cell> {
    [(1, 4), (2, 8)]
        .map(|(size, page)| Cell { memory: size * 2 * 1024 * 1024, free: size * 1024 * 1024, cpus: 8, page })
        .to_vec()
}

/// The machine's firmware: the facts that every node of the test driver tells.
pub(crate) const SYSINFO: &str = "\
<sysinfo type='smbios'>
  <bios>
    <entry name='vendor'>LENOVO</entry>
    <entry name='version'>G4ETA1WW (2.61 )</entry>
    <entry name='date'>05/07/2014</entry>
    <entry name='release'>2.61</entry>
  </bios>
</sysinfo>
";

/// The node's capabilities.
pub(crate) fn document(cells: &[Cell]) -> String {
    let mut out = String::from(
        "<capabilities>

  <host>
    <cpu>
      <arch>i686</arch>
      <features>
        <pae/>
        <nonpae/>
      </features>
      <pages unit='KiB' size='4'/>
      <pages unit='KiB' size='8'/>
      <pages unit='KiB' size='2048'/>
      <pages unit='KiB' size='1048576'/>
    </cpu>
    <power_management/>
    <iommu support='no'/>
    <topology>
",
    );
    push_cells(&mut out, cells);
    let SecurityModel { model, doi } = SECURITY_MODEL;
    push(
        &mut out,
        format_args!(
            "    </topology>
    <secmodel>
      <model>{model}</model>
      <doi>{doi}</doi>
    </secmodel>
  </host>
"
        ),
    );
    for os_type in ["hvm", "xen"] {
        push(
            &mut out,
            format_args!(
                "
  <guest>
    <os_type>{os_type}</os_type>
    <arch name='i686'>
      <wordsize>32</wordsize>
      <emulator>/usr/bin/test-hv</emulator>
      <domain type='test'/>
    </arch>
    <features>
      <pae/>
      <nonpae/>
    </features>
  </guest>
"
            ),
        );
    }
    out.push_str("\n</capabilities>\n");
    out
}

fn push_cells(out: &mut String, cells: &[Cell]) {
    push(out, format_args!("      <cells num='{}'>\n", cells.len()));
    let mut cpu = 0;
    for (id, cell) in cells.iter().enumerate() {
        let Cell { memory, cpus, page, .. } = *cell;
        push(
            out,
            format_args!(
                "        <cell id='{id}'>
          <memory unit='KiB'>{memory}</memory>
          <pages unit='KiB' size='{page}'>{}</pages>
          <pages unit='KiB' size='2048'>0</pages>
          <pages unit='KiB' size='1048576'>0</pages>
          <cpus num='{cpus}'>
",
                memory / page
            ),
        );
        for core in 0..cpus {
            let line = format_args!(
                "            <cpu id='{cpu}' socket_id='{id}' die_id='0' cluster_id='0' core_id='{core}' siblings='{cpu}'/>\n"
            );
            push(out, line);
            cpu += 1;
        }
        out.push_str("          </cpus>\n        </cell>\n");
    }
    out.push_str("      </cells>\n");
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}
