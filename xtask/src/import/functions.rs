//! What libvirt's public functions do before they reach a driver: under which domain they report errors, and
//! whether they refuse a read-only connection.

use crate::protocol::squash;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::path::Path;

/// Where the functions are that a procedure carries.
const FILES: [&str; 15] = [
    "src/admin/libvirt-admin.c",
    "src/libvirt-domain-checkpoint.c",
    "src/libvirt-domain-snapshot.c",
    "src/libvirt-domain.c",
    "src/libvirt-host.c",
    "src/libvirt-interface.c",
    "src/libvirt-lxc.c",
    "src/libvirt-network.c",
    "src/libvirt-nodedev.c",
    "src/libvirt-nwfilter.c",
    "src/libvirt-qemu.c",
    "src/libvirt-secret.c",
    "src/libvirt-storage.c",
    "src/libvirt-stream.c",
    "src/libvirt.c",
];

/// What a public function does before it reaches a driver.
pub(super) struct Function {
    pub(super) error_domain: String,
    pub(super) writes: bool,
}

/// The public functions of a source tree, by name in lower case and without underscores.
pub(super) fn read(tree: &Path) -> Result<HashMap<String, Function>> {
    let mut functions = HashMap::new();
    for file in FILES {
        let path = tree.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text, &mut functions).with_context(|| format!("in {file}"))?;
    }
    Ok(functions)
}

/// A function's name stands on a line that is not indented, behind its type or alone, and its body between braces
/// that begin their lines.
fn parse(text: &str, functions: &mut HashMap<String, Function>) -> Result<()> {
    let domain = text
        .lines()
        .find_map(|line| line.strip_prefix("#define VIR_FROM_THIS "))
        .context("no error domain")?
        .trim();
    let (mut name, mut body) = (None, None::<Function>);
    for line in text.lines() {
        if line == "{" {
            body = Some(Function { error_domain: domain.to_owned(), writes: false });
        } else if line == "}" {
            if let (Some(name), Some(function)) = (name.take(), body.take()) {
                ensure!(functions.insert(squash(name), function).is_none(), "{name} is there twice");
            }
        } else if let Some(function) = &mut body {
            // Deeper inside, it depends on a flag.
            function.writes |= line.starts_with("    virCheckReadOnlyGoto(");
        } else if !line.starts_with(' ')
            && let Some((before, _)) = line.split_once('(')
            && let Some(word) = before.split_whitespace().next_back()
            && word.starts_with("vir")
        {
            name = Some(word);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_checks() {
        let text = "\
#define VIR_FROM_THIS VIR_FROM_DOMAIN

/**
 * virDomainDestroy(): is no function here
 */
int virDomainCreate(virDomainPtr domain)
{
    virCheckReadOnlyGoto(conn->flags, error);
}

static int
virDomainGetVcpusFlags(virDomainPtr domain,
                       unsigned int flags)
{
    if (flags & VIR_DOMAIN_VCPU_GUEST)
        virCheckReadOnlyGoto(conn->flags, error);
}
";
        let mut functions = HashMap::new();
        parse(text, &mut functions).unwrap();
        let of = |name: &str| functions.get(name).map(|of| (of.error_domain.as_str(), of.writes));
        assert_eq!(of("virdomaincreate"), Some(("VIR_FROM_DOMAIN", true)));
        assert_eq!(of("virdomaingetvcpusflags"), Some(("VIR_FROM_DOMAIN", false)));
        assert!(parse(text, &mut functions).is_err(), "twice");
        assert!(parse("int", &mut HashMap::new()).is_err(), "no domain");
    }
}
