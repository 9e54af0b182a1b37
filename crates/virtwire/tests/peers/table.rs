//! Which test sees to which complaint: of what others lack or do wrong, by their code and their issue threads as they
//! were in November 2026, and of what their users ask for.

use std::collections::BTreeSet;
use std::path::Path;

/// One complaint, and the tests that fail where it comes true.
struct Complaint {
    /// Whose it is: another client, or threads as `repository#number`.
    of: &'static [&'static str],
    what: &'static str,
    /// Files below the workspace, and functions there.
    tests: &'static [(&'static str, &'static [&'static str])],
}

const COMPLAINTS: &[Complaint] = &[
    // What others lack or do wrong.
    Complaint {
        of: &["libvirt's C library", "go-libvirt", "libvirt-remote-rs", "libvirt-pure"],
        what: "the protocol cannot be had without its sockets and threads",
        tests: &[
            ("crates/virtwire-proto/tests/connection/calls.rs", &["a_reply_comes_back_to_its_call"]),
            (
                "crates/virtwire-proto/tests/connection/closing.rs",
                &["everything_open_fails_at_once_with_the_reason"],
            ),
        ],
    },
    Complaint {
        of: &["Protocol::Sys::Virt"],
        what: "a server's replies, errors and events die",
        tests: &[
            (
                "crates/virtwire-server/tests/calls.rs",
                &["a_call_is_answered", "what_is_not_implemented_is_not_supported"],
            ),
            (
                "crates/virtwire-server/tests/events.rs",
                &["every_registration_of_every_client_gets_its_events"],
            ),
            (
                "crates/virtwire-server/tests/virsh.rs",
                &["virsh_lists_domains", "virsh_shows_errors", "virsh_sees_events"],
            ),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs", "libvirt-pure", "Protocol::Sys::Virt"],
        what: "programs are missing: admin, lock, log",
        tests: &[
            ("crates/virtwire-proto/tests/program.rs", &["programs_have_their_procedures"]),
            ("crates/virtwire/tests/objects.rs", &["without_guests", "a_guest_s_life"]),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs", "libvirt-pure", "Protocol::Sys::Virt"],
        what: "the definitions are older than libvirt 12.8.0",
        tests: &[
            ("crates/virtwire-proto/tests/program.rs", &["rows_say_what_the_definitions_say"]),
            ("crates/virtwire/tests/procedures.rs", &["every_procedure_is_a_method_or_has_a_reason"]),
        ],
    },
    Complaint {
        of: &["libvirt-remote-rs"],
        what: "clones of a connection corrupt each other's writes",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["large_calls_of_two_tasks_never_interleave"]),
            ("crates/virtwire/tests/storm.rs", &["a_storm_leaves_a_connection_that_answers"]),
        ],
    },
    Complaint {
        of: &["libvirt-pure"],
        what: "one call at a time",
        tests: &[("crates/virtwire/tests/calls.rs", &["replies_come_in_any_order"])],
    },
    Complaint {
        of: &["libvirt-pure"],
        what: "the first event breaks the connection",
        tests: &[(
            "crates/virtwire/tests/peers/hangs.rs",
            &["an_event_between_a_call_and_its_reply_is_no_reply"],
        )],
    },
    Complaint {
        of: &["Sys::Async::Virt"],
        what: "one error ends the loop that everything runs in",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["errors_name_the_call_and_keep_all_they_say"]),
            ("crates/virtwire/tests/methods.rs", &["a_daemon_s_broken_answers_are_values"]),
        ],
    },
    Complaint {
        of: &["libvirt's C library"],
        what: "a thread for each call that waits",
        tests: &[(
            "crates/virtwire/tests/peers/event_loop.rs",
            &["calls_that_hang_leave_the_event_loop_running"],
        )],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-pure"],
        what: "events of many kinds vanish",
        tests: &[(
            "crates/virtwire/tests/event_classes.rs",
            &[
                "every_domain_event_is_a_variant_and_one_subscription_keeps_their_order",
                "events_of_the_other_classes_are_their_variants",
                "numbers_that_are_not_known_survive",
            ],
        )],
    },
    Complaint {
        of: &["libvirt-remote-rs"],
        what: "all events come in one untyped queue, and classes that number alike mix",
        tests: &[(
            "crates/virtwire/tests/event_classes.rs",
            &[
                "a_subscription_for_one_object_says_which",
                "two_classes_that_number_their_callbacks_alike_never_mix",
            ],
        )],
    },
    Complaint {
        of: &["Sys::Async::Virt"],
        what: "registering for events does not work with a daemon",
        tests: &[("crates/virtwire/tests/daemon.rs", &["a_domains_life_with_its_events"])],
    },
    Complaint {
        of: &["go-libvirt"],
        what: "a download is never finished",
        tests: &[
            ("crates/virtwire/tests/streams.rs", &["a_download_ends_when_the_daemon_has_confirmed_it"]),
            ("crates/virtwire/tests/daemon.rs", &["a_screenshot_is_a_stream"]),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-pure"],
        what: "holes are sent and received as zeros, or not at all",
        tests: &[
            ("crates/virtwire/tests/stream_files.rs", &["a_file_s_holes_are_sent_as_lengths_or_as_zeros"]),
            ("crates/virtwire/tests/daemon_streams.rs", &["sparse_copies_are_the_same_as_virsh_s"]),
        ],
    },
    Complaint {
        of: &["Protocol::Sys::Virt"],
        what: "a hole that comes kills the connection",
        tests: &[
            ("crates/virtwire/tests/streams.rs", &["holes_are_lengths_in_both_directions"]),
            (
                "crates/virtwire/tests/stream_files.rs",
                &[
                    "a_hole_that_no_file_is_long_enough_for_is_refused",
                    "the_longest_hole_that_a_file_can_have_is_no_allocation",
                ],
            ),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs", "libvirt-pure", "Protocol::Sys::Virt"],
        what: "descriptors do not travel, or only one way, or leak",
        tests: &[(
            "crates/virtwire/tests/descriptors.rs",
            &[
                "descriptors_travel_both_ways_and_stay_with_their_packets",
                "descriptors_that_nobody_takes_are_closed",
            ],
        )],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs", "libvirt-pure"],
        what: "daemons that ask who is there cannot be opened",
        tests: &[
            (
                "crates/virtwire/tests/opening.rs",
                &["polkit_lets_in", "polkit_refuses_and_the_socket_is_closed"],
            ),
            ("crates/virtwire/tests/daemon_sasl.rs", &["each_mechanism_lets_in"]),
        ],
    },
    Complaint {
        of: &["go-libvirt"],
        what: "no keepalive: a daemon hangs up on a client that does not answer its pings",
        tests: &[("crates/virtwire/tests/calls.rs", &["a_ping_is_answered_whatever_goes_on"])],
    },
    Complaint {
        of: &["libvirt-remote-rs", "Sys::Async::Virt"],
        what: "a daemon that is silent for ever is waited for, for ever",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["a_silent_peer_counts_as_dead"]),
            ("crates/virtwire/tests/daemon.rs", &["a_frozen_daemon_counts_as_dead"]),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs", "libvirt-pure", "Sys::Async::Virt"],
        what: "a connection that is lost is lost: nothing opens it again",
        tests: &[(
            "crates/virtwire/tests/reconnect.rs",
            &[
                "what_the_daemon_had_fails_and_what_is_asked_meanwhile_waits",
                "calls_that_were_not_sent_yet_are_not_lost",
            ],
        )],
    },
    Complaint {
        of: &["libvirt-remote-rs"],
        what: "one deadline for all calls, that nobody can set",
        tests: &[("crates/virtwire/tests/calls.rs", &["a_call_that_is_not_answered_in_time_fails"])],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs"],
        what: "a packet's announced length is believed: gigabytes are allocated, or it panics",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["garbage_ends_the_connection_and_says_what_came"]),
            ("crates/virtwire-proto/tests/memory.rs", &["an_announced_packet_reserves_nothing"]),
            ("crates/virtwire-proto/tests/connection/framing.rs", &["length_words"]),
        ],
    },
    Complaint {
        of: &["libvirt-pure", "Protocol::Sys::Virt"],
        what: "legal replies of more than 4 MiB are refused",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["a_reply_of_nearly_32_mib_is_taken"]),
            ("crates/virtwire-proto/tests/connection/limits.rs", &["the_longest_packet_passes_both_ways"]),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-remote-rs"],
        what: "arguments that the daemon would hang up on are sent",
        tests: &[
            (
                "crates/virtwire/tests/calls.rs",
                &["an_argument_over_its_maximum_is_refused_before_it_is_sent"],
            ),
            (
                "crates/virtwire-proto/tests/connection/limits.rs",
                &["one_byte_more_is_refused_before_it_is_sent"],
            ),
        ],
    },
    Complaint {
        of: &["go-libvirt", "libvirt-pure"],
        what: "of an error only code and message are left",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["errors_name_the_call_and_keep_all_they_say"]),
            ("crates/virtwire/tests/daemon.rs", &["errors_are_whole"]),
            (
                "crates/virtwire-proto/tests/connection/errors.rs",
                &["an_unknown_code_domain_and_level_survive"],
            ),
        ],
    },
    Complaint {
        of: &["libvirt-remote-rs", "libvirt-pure", "Sys::Async::Virt"],
        what: "no test has ever seen a real daemon",
        tests: &[
            ("crates/virtwire/tests/daemon.rs", &["the_default_node_is_there"]),
            ("crates/virtwire/tests/objects.rs", &["without_guests", "a_guest_s_life"]),
        ],
    },
    // What users ask for.
    Complaint {
        of: &["digitalocean/go-libvirt#96", "digitalocean/go-libvirt#98"],
        what: "a handler of events that calls back hangs, and everybody with it",
        tests: &[
            (
                "crates/virtwire/tests/peers/hangs.rs",
                &["a_handler_that_calls_back_in_a_flood_of_events_is_answered"],
            ),
            ("crates/virtwire/tests/events.rs", &["a_handler_may_call_anything"]),
            ("crates/virtwire/tests/storm.rs", &["a_storm_leaves_a_connection_that_answers"]),
        ],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#190", "digitalocean/go-libvirt#191"],
        what: "ending a subscription while events come hangs",
        tests: &[(
            "crates/virtwire/tests/events.rs",
            &[
                "unsubscribing_during_an_event_storm_holds_up_nobody",
                "a_registration_that_is_dropped_is_undone",
            ],
        )],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#88", "digitalocean/go-libvirt#132"],
        what: "a daemon that dies leaves calls and subscriptions waiting",
        tests: &[
            ("crates/virtwire/tests/peers/hangs.rs", &["a_daemon_that_dies_leaves_nobody_waiting"]),
            (
                "crates/virtwire/tests/daemon_deaths.rs",
                &["whatever_is_open_fails_when_the_daemon_dies_or_freezes"],
            ),
        ],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#182", "confidential-containers/cloud-api-adaptor#3231"],
        what: "calls cannot be cancelled, and have no deadline",
        tests: &[(
            "crates/virtwire/tests/peers/cancel.rs",
            &[
                "every_call_to_a_daemon_that_does_not_answer_ends_at_its_deadline",
                "every_call_can_be_given_up_and_leaves_nothing_behind",
            ],
        )],
    },
    Complaint {
        of: &["libvirt-remote-rs", "libvirt-pure"],
        what: "a daemon is reached by its socket on this host, or by TCP, and no other way",
        tests: &[(
            "crates/virtwire/tests/transports.rs",
            &["tls_carries_calls_and_streams", "ssh_reaches_the_daemon_by_its_helper", "ext_runs_a_command"],
        )],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#89"],
        what: "the byte by which a server accepts a certificate is taken for data, a refusal for a hang",
        tests: &[
            (
                "crates/virtwire/tests/tls.rs",
                &["a_server_that_says_another_byte_refuses", "a_server_that_closes_refuses"],
            ),
            ("crates/virtwire/tests/transports.rs", &["tls_certificates_that_the_daemon_does_not_take"]),
        ],
    },
    Complaint {
        of: &[
            "digitalocean/go-libvirt#51",
            "digitalocean/go-libvirt#171",
            "dmacvicar/terraform-provider-libvirt#883",
            "dmacvicar/terraform-provider-libvirt#1025",
            "dmacvicar/terraform-provider-libvirt#1031",
        ],
        what: "one fixed socket: no session, no modular daemons, no mode",
        tests: &[
            ("crates/virtwire/tests/transports.rs", &["a_session_starts_its_daemon"]),
            (
                "crates/virtwire-proto/src/socket_path/tests.rs",
                &["mode_auto_takes_what_is_there", "the_socket_of_a_uri", "each_driver_has_its_daemon"],
            ),
        ],
    },
    Complaint {
        of: &[
            "dmacvicar/terraform-provider-libvirt#922",
            "dmacvicar/terraform-provider-libvirt#944",
            "dmacvicar/terraform-provider-libvirt#1170",
        ],
        what: "the user's ssh_config and known_hosts are not heeded",
        tests: &[(
            "crates/virtwire/tests/transports.rs",
            &["ssh_takes_what_its_user_has_configured", "ssh_says_why_it_failed"],
        )],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#221"],
        what: "no SASL over TCP, where everything is sealed from then on",
        tests: &[
            (
                "crates/virtwire/tests/daemon_sasl.rs",
                &["a_layer_is_what_tcp_takes", "everything_passes_through_the_layer"],
            ),
            (
                "crates/virtwire/tests/sasl.rs",
                &["sealed_bytes_come_in_any_pieces_also_right_behind_the_last_step"],
            ),
            ("crates/virtwire-proto/tests/connection/authentication.rs", &["sasl_with_a_layer"]),
        ],
    },
    Complaint {
        of: &["kubevirt/kubevirt#194", "truenas/middleware#5262", "virtrigaud's ADR-0008"],
        what: "once the connection is opened again no event comes any more, and nobody knows",
        tests: &[(
            "crates/virtwire/tests/reconnect.rs",
            &[
                "subscriptions_live_on_and_are_told_of_the_gap_at_its_place",
                "a_registration_is_made_again_with_its_filter_and_no_other_is",
                "a_frozen_daemon_is_left_by_keepalive",
            ],
        )],
    },
    Complaint {
        of: &["flathub/org.gnome.Boxes#92"],
        what: "more calls at once than the daemon works on end the connection by keepalive",
        tests: &[
            ("crates/virtwire/tests/calls.rs", &["no_more_calls_are_sent_than_the_cap_allows"]),
            (
                "crates/virtwire/tests/daemon_slow.rs",
                &[
                    "fifty_slow_calls_complete_on_default_settings",
                    "a_daemon_that_reads_no_more_hangs_up_on_the_naive_cap_only",
                ],
            ),
        ],
    },
    Complaint {
        of: &["QubesOS/qubes-issues#9960", "truenas/middleware#9632"],
        what: "a call that hangs stops the event loop that it is made in",
        tests: &[(
            "crates/virtwire/tests/peers/event_loop.rs",
            &[
                "calls_that_hang_leave_the_event_loop_running",
                "a_connection_that_does_not_open_leaves_the_event_loop_running",
            ],
        )],
    },
    Complaint {
        of: &["digitalocean/go-libvirt#71", "digitalocean/go-libvirt#77"],
        what: "typed parameters inside other structures cannot be decoded",
        tests: &[(
            "crates/virtwire/tests/peers/typed_params.rs",
            &["parameters_of_every_type_inside_records_are_decoded"],
        )],
    },
    Complaint {
        of: &["confidential-containers/cloud-api-adaptor#119", "vertex#94"],
        what: "it cannot be built without C",
        tests: &[("crates/virtwire/tests/peers/without_c.rs", &["no_crate_that_users_link_is_or_builds_c"])],
    },
    Complaint {
        of: &["virtrigaud's ADR-0008", "everywhere"],
        what: "nothing stands in for a daemon in tests, or not for several tasks at once",
        tests: &[(
            "crates/virtwire/tests/peers/fake_daemon.rs",
            &[
                "a_hypervisor_in_the_test_s_process_serves_many_tasks_at_once",
                "a_daemon_of_a_test_s_own_answers_many_tasks_at_once",
            ],
        )],
    },
];

/// What users were seen to ask for: none of it may be missing above.
const ASKED_FOR: &[&str] = &[
    "digitalocean/go-libvirt#51",
    "digitalocean/go-libvirt#71",
    "digitalocean/go-libvirt#77",
    "digitalocean/go-libvirt#88",
    "digitalocean/go-libvirt#89",
    "digitalocean/go-libvirt#96",
    "digitalocean/go-libvirt#98",
    "digitalocean/go-libvirt#132",
    "digitalocean/go-libvirt#171",
    "digitalocean/go-libvirt#182",
    "digitalocean/go-libvirt#190",
    "digitalocean/go-libvirt#191",
    "digitalocean/go-libvirt#221",
    "dmacvicar/terraform-provider-libvirt#883",
    "dmacvicar/terraform-provider-libvirt#922",
    "dmacvicar/terraform-provider-libvirt#944",
    "dmacvicar/terraform-provider-libvirt#1025",
    "dmacvicar/terraform-provider-libvirt#1031",
    "dmacvicar/terraform-provider-libvirt#1170",
    "confidential-containers/cloud-api-adaptor#119",
    "confidential-containers/cloud-api-adaptor#3231",
    "kubevirt/kubevirt#194",
    "flathub/org.gnome.Boxes#92",
    "QubesOS/qubes-issues#9960",
    "truenas/middleware#5262",
    "truenas/middleware#9632",
    "vertex#94",
    "virtrigaud's ADR-0008",
    "everywhere",
];

#[test]
fn every_complaint_has_a_test_that_exists() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for complaint in COMPLAINTS {
        assert!(!complaint.of.is_empty() && !complaint.what.is_empty());
        let tests: Vec<_> = complaint
            .tests
            .iter()
            .flat_map(|(file, names)| names.iter().map(move |name| (file, name)))
            .collect();
        assert!(!tests.is_empty(), "nothing sees to it that not: {}", complaint.what);
        for (file, name) in tests {
            let text = std::fs::read_to_string(workspace.join(file))
                .unwrap_or_else(|error| panic!("{}: {file}: {error}", complaint.what));
            assert!(is_test(&text, name), "{}: {file} has no test {name}", complaint.what);
        }
    }
}

#[test]
fn nothing_that_is_asked_for_is_left_out() {
    let answered: BTreeSet<_> = COMPLAINTS.iter().flat_map(|complaint| complaint.of).collect();
    let missing: Vec<_> = ASKED_FOR.iter().filter(|of| !answered.contains(of)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let threads = answered.iter().filter(|of| of.contains('#'));
    let unknown: Vec<_> = threads.filter(|of| !ASKED_FOR.contains(of)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn what_is_no_test_is_seen() {
    let text =
        "#[test]\nfn one() {}\n\nfn two() {}\n\n#[tokio::test(start_paused = true)]\nasync fn three() {}\n";
    assert!(is_test(text, "one") && is_test(text, "three"));
    assert!(!is_test(text, "two") && !is_test(text, "four") && !is_test(text, "on"));
    let text =
        "fn main() -> ExitCode {\n    run_tests(tests![one,\n Test::new(\"two\", run)])\n}\nfn three() {}\n";
    assert!(is_test(text, "one") && is_test(text, "two") && !is_test(text, "three"));
    assert!(!is_test(&text.replace("run_tests", "forget"), "one"));
}

/// Whether a source file has a test of this name: a function with the attribute, or one that its `main` runs.
fn is_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<_> = text.lines().collect();
    let defined = lines.iter().position(|line| line.contains(&head));
    let attribute = defined.is_some_and(|at| {
        let attributes = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with("#["));
        attributes.into_iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    });
    // What `main` names it runs: as a function, or by a name beside one.
    let listed = text.contains("run_tests(")
        && text.split_once("fn main()").is_some_and(|(_, rest)| {
            let main = rest.split("\n}").next().unwrap_or_default();
            main.split(|byte: char| !byte.is_alphanumeric() && byte != '_').any(|word| word == name)
        });
    attribute || listed
}
