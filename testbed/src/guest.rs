//! A guest of our own for QEMU without KVM: one boot sector, running half a second after its start.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::process::run;
use crate::root::Root;

/// The program, as a listing: the bytes of each instruction, and what they say.
const LISTING: &str = include_str!("guest.lst");

/// The smallest disk that holds it and leaves room for what it writes.
const SIZE: usize = 1 << 20;

/// The boot sector of a guest that does what tests need, in real mode and by polling.
///
/// - Having started it writes [`GREETING`] to its first serial port.
/// - What it reads there it writes there; so does a key of its keyboard. Two bytes also do something else:
///   [`WRITE`] and [`SLEEP`].
/// - What it reads from port 2 of its virtio-serial device it writes there. Port 1 is open, for a guest agent that
///   the test plays at the other end.
/// - The power button ends it, and PCI devices that are to be detached are given free.
///
/// Awake it needs next to no processor. It wakes up from sleep by starting anew.
pub fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    for (byte, at) in LISTING.lines().flat_map(bytes).zip(&mut sector[..510]) {
        *at = byte;
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// What the guest writes to its serial port when it is there.
pub const GREETING: &str = "ready\r\n";

/// The byte on which the guest writes its boot sector to the ninth sector of its first disk (512 bytes at 4096),
/// before it echoes it.
pub const WRITE: u8 = 0x17;

/// The byte on which the guest suspends to memory.
pub const SLEEP: u8 = 0x13;

/// Makes a disk with the guest at `path` (the same inside and outside `root`): 1 MiB in `format`, `raw` or what
/// qemu-img converts it into.
///
/// # Errors
/// It cannot be written, or qemu-img does not do it.
pub fn make_guest_disk(root: &Root, path: &Path, format: &str) -> Result<()> {
    let mut disk = vec![0; SIZE];
    disk[..512].copy_from_slice(&boot_sector());
    let raw = if format == "raw" { path.to_owned() } else { path.with_extension("boot") };
    fs::write(&raw, disk).context(|| raw.display().to_string())?;
    if format == "raw" {
        return Ok(());
    }
    let mut convert: Command = root.command("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", format]).args([&raw, path]);
    run(&mut convert)?;
    fs::remove_file(&raw).map_err(|error| Error::new(format!("{}: {error}", raw.display())))
}

/// The bytes at the beginning of a line of the listing, which two blanks end.
fn bytes(line: &str) -> impl Iterator<Item = u8> {
    let column = if line.starts_with(' ') || line.starts_with(';') { "" } else { line };
    let column = column.split("  ").next().unwrap_or_default();
    column.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("a byte of the listing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_fits_into_a_sector() {
        let length = LISTING.lines().flat_map(bytes).count();
        assert!((400..=510).contains(&length), "{length}");
        let sector = boot_sector();
        assert_eq!((&sector[..2], &sector[510..]), (&[0x31, 0xc0][..], &[0x55, 0xaa][..]));
        // The greeting is the last that there is.
        assert_eq!(&sector[length - 7..length], GREETING.as_bytes());
    }

    #[test]
    fn jumps_of_the_listing_lead_to_where_it_says() {
        // Address of every label, and of every short jump with the label that it names.
        let (mut at, mut labels, mut jumps) = (0_i64, Vec::new(), Vec::new());
        for line in LISTING.lines() {
            let code: Vec<u8> = bytes(line).collect();
            at += i64::try_from(code.len()).unwrap();
            let text = line.get(28..).unwrap_or_default();
            if let Some(label) = line.trim_start().strip_suffix(':') {
                labels.push((label.to_owned(), at));
            } else if let Some(("jmp" | "jz" | "je" | "jne" | "jc" | "loop", label)) = text.split_once(' ')
                && let [_, by] = code[..]
            {
                jumps.push((label.to_owned(), at + i64::from(by.cast_signed())));
            }
        }
        assert!(jumps.len() > 10, "{jumps:?}");
        for jump in &jumps {
            assert!(labels.contains(jump), "{jump:?}");
        }
    }
}
