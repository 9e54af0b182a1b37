//! The fuzz target `decoders`: [`virtwire_fuzz::decoders`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| virtwire_fuzz::decoders(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    virtwire_fuzz::run_files(virtwire_fuzz::decoders)
}
