//! The guest's hardware, reached past the guest: QEMU's protocol for tests of its devices.

use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use virtwire_testbed::Failed;

pub(crate) struct Hardware {
    socket: BufReader<UnixStream>,
}

impl Hardware {
    pub(crate) async fn open(path: &Path) -> Result<Self, Failed> {
        Ok(Self { socket: BufReader::new(UnixStream::connect(path).await?) })
    }

    /// Writes a byte to a port.
    pub(crate) async fn out8(&mut self, port: u16, value: u8) -> Result<(), Failed> {
        self.ask(&format!("outb {port:#x} {value:#x}\n")).await.map(drop)
    }

    pub(crate) async fn out16(&mut self, port: u16, value: u16) -> Result<(), Failed> {
        self.ask(&format!("outw {port:#x} {value:#x}\n")).await.map(drop)
    }

    pub(crate) async fn out32(&mut self, port: u16, value: u32) -> Result<(), Failed> {
        self.ask(&format!("outl {port:#x} {value:#x}\n")).await.map(drop)
    }

    pub(crate) async fn in8(&mut self, port: u16) -> Result<u8, Failed> {
        let answer = self.ask(&format!("inb {port:#x}\n")).await?;
        Ok(u8::try_from(number(&answer)?)?)
    }

    async fn in32(&mut self, port: u16) -> Result<u32, Failed> {
        let answer = self.ask(&format!("inl {port:#x}\n")).await?;
        number(&answer)
    }

    /// The first port of the device's own that has this vendor and number on the first PCI bus.
    pub(crate) async fn pci_port(&mut self, vendor: u16, device: u16) -> Result<u16, Failed> {
        for slot in 0..32_u32 {
            let at = 0x8000_0000 | slot << 11;
            self.out32(0xcf8, at).await?;
            if self.in32(0xcfc).await? == u32::from(device) << 16 | u32::from(vendor) {
                self.out32(0xcf8, at | 0x10).await?;
                let base = self.in32(0xcfc).await?;
                assert_eq!(base & 3, 1, "no port: {base:#x}");
                return Ok(u16::try_from(base & !3)?);
            }
        }
        Err(format!("no PCI device {vendor:04x}:{device:04x}").into())
    }

    async fn ask(&mut self, question: &str) -> Result<String, Failed> {
        self.socket.get_mut().write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.socket.read_line(&mut answer)).await;
        read.map_err(|_| format!("{question:?} is not answered"))??;
        match answer.strip_prefix("OK") {
            Some(answer) => Ok(answer.trim().to_owned()),
            None => Err(format!("{question:?}: {answer:?}").into()),
        }
    }
}

fn number(answer: &str) -> Result<u32, Failed> {
    let digits = answer.strip_prefix("0x").ok_or_else(|| format!("no number: {answer:?}"))?;
    Ok(u32::try_from(u64::from_str_radix(digits, 16)?)?)
}
