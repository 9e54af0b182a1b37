//! The fuzz target `typed_params`: [`virtwire_fuzz::typed_params`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| virtwire_fuzz::typed_params(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    virtwire_fuzz::run_files(virtwire_fuzz::typed_params)
}
