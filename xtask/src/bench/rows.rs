//! What `cargo xtask bench client` measures, of whom, and what is aimed at.

/// Which server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// A real, private libvirtd.
    Libvirtd,
    /// Ours, which does no work.
    Canned,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// The C library's client.
    C,
    /// Ours on the many-thread runtime.
    Many,
    /// Ours on one thread.
    One,
    /// A bare socket that pipelines.
    Socket,
}

/// One program run in one way.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) who: &'static str,
    pub(super) program: Program,
    /// What it is given around the server's URI (`{uri}`), or its socket (`{socket}`).
    pub(super) args: String,
}

/// Something that each subject tells of its run, by this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Seconds,
    Rate,
    Cpu,
    Throughput,
    /// From no connection to all of them.
    Memory,
    /// From one connection to all of them: without what is made once.
    Further,
    Threads,
}

impl Metric {
    /// The name in what a subject prints.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Rate | Self::Throughput => "rate",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Further => "further",
            Self::Threads => "threads",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Seconds => "time",
            Self::Rate => "calls per second",
            Self::Throughput => "throughput",
            Self::Cpu => "client's CPU time per call",
            Self::Memory => "memory per connection, from none on",
            Self::Further => "memory per connection, from one on",
            Self::Threads => "threads",
        }
    }

    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds | Self::Cpu if value < 1e-3 => format!("{:.2} µs", value * 1e6),
            Self::Seconds | Self::Cpu if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Self::Seconds | Self::Cpu => format!("{value:.2} s"),
            Self::Rate => format!("{:.1} k/s", value / 1e3),
            Self::Throughput => format!("{:.0} MiB/s", value / f64::from(1 << 20)),
            Self::Memory | Self::Further => format!("{:.2} KiB", value / 1024.0),
            Self::Threads => format!("{value:.0}"),
        }
    }
}

/// A ratio that is aimed at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim {
    pub(super) to: Program,
    pub(super) bound: Bound,
    /// Only for ours on one thread.
    pub(super) one_thread: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    pub(super) fn is_met_by(&self, ratio: f64) -> bool {
        match self.bound {
            Bound::AtMost(bound) => ratio <= bound,
            Bound::AtLeast(bound) => ratio >= bound,
        }
    }

    pub(super) fn concerns(&self, program: Program) -> bool {
        program == Program::One || (program == Program::Many && !self.one_thread)
    }
}

/// One thing that is measured of several subjects.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) server: Server,
    /// Whether client and server have one CPU between them.
    pub(super) one_cpu: bool,
    pub(super) subjects: Vec<Subject>,
    pub(super) metrics: Vec<(Metric, Vec<Aim>)>,
}

/// All rows. How often things are done is chosen so that each run takes about a second on an ordinary machine.
pub(super) fn all() -> Vec<Row> {
    let latency = Row {
        name: "libvirtd: one call, both processes on one CPU",
        server: Server::Libvirtd,
        one_cpu: true,
        subjects: three("latency {uri} 10000"),
        metrics: vec![(Metric::Seconds, vec![at_most(1.05)])],
    };
    let calls = |cap, count| format!("calls {{uri}} {cap} 32 {count}");
    let libvirtd = Row {
        name: "libvirtd: 32 at once on one connection",
        server: Server::Libvirtd,
        one_cpu: false,
        subjects: vec![
            subject("C, 32 threads", Program::C, calls("none", 20_000)),
            subject("many threads, 32 tasks, default cap", Program::Many, calls("default", 20_000)),
            subject("one thread, 32 tasks, default cap", Program::One, calls("default", 20_000)),
            subject("many threads, 32 tasks, no cap", Program::Many, calls("none", 20_000)),
            subject("one thread, 32 tasks, no cap", Program::One, calls("none", 20_000)),
            subject("bare socket", Program::Socket, "{socket} 32 20000".into()),
        ],
        metrics: vec![(Metric::Rate, vec![at_least(1.0)]), (Metric::Cpu, vec![at_most(0.5)])],
    };
    let canned = Row {
        name: "canned: 32 at once on one connection",
        server: Server::Canned,
        one_cpu: false,
        subjects: vec![
            subject("C, 32 threads", Program::C, calls("none", 20_000)),
            subject("bare socket", Program::Socket, "{socket} 32 1000000".into()),
            subject("many threads, 32 tasks", Program::Many, calls("none", 400_000)),
            subject("one thread, 32 tasks", Program::One, calls("none", 400_000)),
        ],
        metrics: vec![
            (Metric::Rate, vec![at_least(10.0), Aim { to: Program::Socket, ..at_least(0.5) }]),
            (Metric::Cpu, vec![]),
        ],
    };
    let list = Row {
        name: "canned: list of 10 000 domains",
        server: Server::Canned,
        one_cpu: false,
        subjects: three("list {uri} 200"),
        metrics: vec![(Metric::Seconds, vec![at_most(0.25)])],
    };
    let stream = |name, what: &str| Row {
        name,
        server: Server::Canned,
        one_cpu: false,
        subjects: vec![
            subject("C", Program::C, format!("{what} {{uri}} buffer")),
            subject("many threads, by chunks", Program::Many, format!("{what} {{uri}} chunks")),
            subject("one thread, by chunks", Program::One, format!("{what} {{uri}} chunks")),
            subject("many threads, by buffer", Program::Many, format!("{what} {{uri}} buffer")),
            subject("one thread, by buffer", Program::One, format!("{what} {{uri}} buffer")),
        ],
        metrics: vec![(Metric::Throughput, vec![at_least(1.0)])],
    };
    let idle = |name, server, tasks: u32, keepalive: u32| Row {
        name,
        server,
        one_cpu: false,
        subjects: three(&format!("idle {{uri}} 1000 {tasks} {keepalive}")),
        metrics: vec![
            (Metric::Seconds, vec![at_most(1.0)]),
            (Metric::Memory, vec![at_most(1.0)]),
            (Metric::Further, vec![]),
            (Metric::Threads, vec![Aim { one_thread: true, ..at_most(1.0) }]),
        ],
    };
    vec![
        latency,
        libvirtd,
        canned,
        list,
        stream("canned: download of 1 GiB", "download"),
        stream("canned: upload of 1 GiB", "upload"),
        idle("canned: 1 000 idle connections, opened one by one", Server::Canned, 1, 0),
        idle("canned: 1 000 idle connections, opened 32 at once", Server::Canned, 32, 0),
        idle("canned: 1 000 idle connections with keepalive, opened one by one", Server::Canned, 1, 5),
        idle("libvirtd: 1 000 idle connections, opened one by one", Server::Libvirtd, 1, 0),
        idle("libvirtd: 1 000 idle connections, opened 32 at once", Server::Libvirtd, 32, 0),
        idle("libvirtd: 1 000 idle connections with keepalive, opened one by one", Server::Libvirtd, 1, 5),
    ]
}

fn subject(who: &'static str, program: Program, args: String) -> Subject {
    Subject { who, program, args }
}

fn three(args: &str) -> Vec<Subject> {
    vec![
        subject("C", Program::C, args.to_owned()),
        subject("many threads", Program::Many, args.to_owned()),
        subject("one thread", Program::One, args.to_owned()),
    ]
}

fn at_most(ratio: f64) -> Aim {
    Aim { to: Program::C, bound: Bound::AtMost(ratio), one_thread: false }
}

fn at_least(ratio: f64) -> Aim {
    Aim { to: Program::C, bound: Bound::AtLeast(ratio), one_thread: false }
}
