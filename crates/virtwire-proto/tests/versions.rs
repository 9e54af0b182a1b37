//! Which version of libvirt each procedure came with.

use virtwire_proto::program::{PROGRAMS, Procedure, Program, Version};

/// What nothing says the version of.
const UNKNOWN: [&str; 1] = ["log.domain_append_log_file"];

/// Procedures that look older than one with a lower number, behind the last of libvirt 0.5.0, by which the remote program
/// had all that C had had before it.
const OLDER: [(&str, &str); 4] = [
    ("remote.connect_register_close_callback", "C had it before the remote driver"),
    ("remote.connect_unregister_close_callback", "C had it before the remote driver"),
    (
        "remote.domain_set_block_threshold",
        "libvirt's list of symbols says 3.1.0, its driver and its event 3.2.0",
    ),
    ("admin.server_update_tls_files", "libvirt's list of symbols says 2.0.0, its news 6.2.0"),
];

fn program(name: &str) -> &'static Program {
    PROGRAMS.iter().find(|program| program.name == name).expect("the program is there")
}

fn all() -> impl Iterator<Item = &'static Procedure> {
    PROGRAMS.iter().flat_map(|program| program.procedures)
}

#[test]
fn every_version_is_known() {
    let unknown: Vec<_> =
        all().filter(|of| of.since.is_none()).map(|procedure| procedure.to_string()).collect();
    assert_eq!(unknown, UNKNOWN);
    assert_eq!(program("remote").procedures.iter().filter(|of| of.since.is_some()).count(), 456);
}

#[test]
fn numbers_are_given_in_the_order_of_time() {
    let mut older = Vec::new();
    for program in PROGRAMS {
        let mut newest = Version::new(0, 0, 0);
        for procedure in program.procedures {
            let Some(since) = procedure.since else { continue };
            // The first of them carry what C had already, in no order.
            if program.name == "remote" && procedure.number <= 110 {
                assert!(since <= Version::new(0, 5, 0), "{procedure}: {since}");
                newest = Version::new(0, 5, 0);
                continue;
            }
            if since < newest {
                older.push(procedure.to_string());
            }
            newest = newest.max(since);
        }
        assert!(newest <= Version::new(12, 8, 0), "{}: {newest}", program.name);
    }
    assert_eq!(older, OLDER.map(|(procedure, _)| procedure));
}
