//! Rust's names for C's.

/// `remote_domain_get_info_args` or `DomainOpenLogFileArgs` in camel case.
pub(super) fn camel(name: &str) -> String {
    words(name).iter().map(|word| capitalised(word)).collect()
}

/// `maxMem`, `usageID` or `xmlCPUs` in snake case; a name that is a keyword gets an underscore behind it.
pub(super) fn field(name: &str) -> String {
    let name = words(name).join("_");
    if matches!(name.as_str(), "type" | "in" | "ref" | "match" | "self" | "fn" | "mod" | "move" | "static") {
        name + "_"
    } else {
        name
    }
}

/// In upper case with underscores between words.
pub(super) fn upper(name: &str) -> String {
    words(name).join("_").to_ascii_uppercase()
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_ascii_uppercase() + rest
}

/// The words of a name, in lower case.
///
/// A word begins behind an underscore, at a capital behind a small letter or digit, and at the last capital of
/// several that a small letter follows, unless that letter is a plural's s.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let chars: Vec<char> = part.chars().collect();
        let mut word = String::new();
        for (i, c) in chars.iter().enumerate() {
            if i > 0 && c.is_ascii_uppercase() {
                let behind = &chars[i + 1..];
                let small_next = behind.first().is_some_and(char::is_ascii_lowercase);
                let plural =
                    behind.first() == Some(&'s') && behind.get(1).is_none_or(char::is_ascii_uppercase);
                if !chars[i - 1].is_ascii_uppercase() || (small_next && !plural) {
                    words.push(std::mem::take(&mut word));
                }
            }
            word.push(c.to_ascii_lowercase());
        }
        words.push(word);
    }
    words
}

/// What all names begin with, up to and with an underscore.
pub(super) fn common_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(mut prefix) = names.next() else { return "" };
    for name in names {
        let len = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        prefix = &prefix[..len];
    }
    &prefix[..prefix.rfind('_').map_or(0, |at| at + 1)]
}

/// Whether Rust source mentions a name as a word of code; comments do not count.
pub(super) fn mentions(source: &str, name: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    source.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            !is_word(line[..at].chars().next_back()) && !is_word(line[at + name.len()..].chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{camel, field, upper};

    #[test]
    fn fields() {
        for (c, rust) in [
            ("maxMem", "max_mem"),
            ("callbackID", "callback_id"),
            ("xmlCPUs", "xml_cpus"),
            ("CPUs", "cpus"),
            ("nrVirtCpu", "nr_virt_cpu"),
            ("wr_bytes", "wr_bytes"),
            ("diskErrno2", "disk_errno2"),
            ("XMLDesc", "xml_desc"),
            ("type", "type_"),
        ] {
            assert_eq!(field(c), rust);
        }
    }

    #[test]
    fn types() {
        assert_eq!(camel("domain_get_xml_desc_args"), "DomainGetXmlDescArgs");
        assert_eq!(camel("DomainXMLFlags"), "DomainXmlFlags");
        assert_eq!(camel("CPUCompareResult"), "CpuCompareResult");
        assert_eq!(camel("DomainEventID"), "DomainEventId");
        assert_eq!(upper("NonnullDomain"), "NONNULL_DOMAIN");
    }
}
