//! Migration between two real daemons that share a network: each ends with exactly one live guest, at one of them.

mod course;
mod failing;
mod lab;
mod managed;
mod peers;

use std::process::ExitCode;
use std::time::Duration;
use virtwire_testbed::{Test, Tool};

fn main() -> ExitCode {
    let tests = [
        Test::new("a_guest_goes_over_in_every_way", managed::a_guest_goes_over_in_every_way),
        Test::new("a_guest_goes_over_with_its_disk", managed::a_guest_goes_over_with_its_disk),
        Test::new("the_daemons_manage_it_by_themselves", peers::the_daemons_manage_it_by_themselves),
        Test::new("it_is_watched_and_steered_on_its_way", course::it_is_watched_and_steered_on_its_way),
        Test::new("where_it_fails_the_guest_stays", failing::where_it_fails_the_guest_stays),
        Test::new("where_a_daemon_is_lost_one_guest_lives", failing::where_a_daemon_is_lost_one_guest_lives),
    ];
    // Emulated guests are slow on a busy machine.
    let limit = Duration::from_secs(400);
    virtwire_testbed::run_tests(tests.into_iter().map(|test| test.needs(Tool::Qemu).limit(limit)).collect())
}
