//! The fuzz target `json`: [`virtwire_fuzz::json`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| virtwire_fuzz::json(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    virtwire_fuzz::run_files(virtwire_fuzz::json)
}
