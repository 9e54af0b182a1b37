//! What the documentation says of each object and each method: read from the source, as rustdoc shows it.

#[path = "support/source.rs"]
mod source;

use source::{Item, OBJECTS, items, methods};
use std::collections::BTreeMap;

/// Types that are no objects of a daemon's, and that a user has to do with at once.
const OTHERS: [&str; 7] =
    ["AgentTimeout", "Builder", "CallOptions", "CpuSet", "MigrateParams", "OptionalText", "Stream"];

/// Methods that go through several procedures: their documentation speaks of the whole.
const OF_MANY: [&str; 2] = ["Domain::migrate", "Domain::migrate_to_uri"];

/// Methods that need no C function beside them: what they do is the driver's own.
const WITHOUT_VERSION: [&str; 1] = ["Connection::supports_feature"];

#[test]
fn every_object_has_an_example() {
    let items = items();
    let bare: Vec<_> = OBJECTS
        .iter()
        .chain(&OTHERS)
        .filter(|name| {
            let found = items.iter().find(|item| item.object.is_none() && item.name == **name);
            !found.unwrap_or_else(|| panic!("no type {name} is to be found")).doc.contains("```")
        })
        .collect();
    assert!(bare.is_empty(), "without an example: {bare:?}");
}

#[test]
fn every_public_item_says_what_it_is() {
    let undocumented: Vec<_> =
        items().into_iter().filter(|item| item.doc.trim().is_empty()).map(|item| item.path()).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

/// A method says since when it is there, which permissions it takes, which errors there are, and what it is in C.
#[test]
fn methods_tell_what_libvirt_says_of_their_procedures() {
    let items: BTreeMap<String, Item> = items().into_iter().map(|item| (item.path(), item)).collect();
    let mut wrong = Vec::new();
    let methods = methods();
    assert!(methods.len() > 380, "{}", methods.len());
    for method in &methods {
        let path = format!("{}::{}", method.object, method.name);
        let item = &items[&path];
        let words: Vec<&str> = item.doc.split_whitespace().collect();
        let doc = words.join(" ");
        if !doc.contains("# Errors") {
            wrong.push(format!("{path} does not speak of errors"));
        }
        let several = OF_MANY.contains(&path.as_str());
        for procedure in &method.procedures {
            let c_name = procedure.c_name.filter(|_| !several);
            if let Some(name) = c_name.filter(|name| !item.aliases.iter().any(|alias| alias == name)) {
                wrong.push(format!("{path} cannot be found by {name}"));
            }
            let since = procedure.since.filter(|_| !several && !WITHOUT_VERSION.contains(&path.as_str()));
            if let Some(since) = since.filter(|since| {
                !doc.contains(&format!("since {since}"))
                    && !doc.contains(&format!("Since libvirt {since}"))
                    && !doc.contains(&format!("since libvirt {since}"))
            }) {
                wrong.push(format!("{path} does not say that {procedure} is there since {since}"));
            }
            for permission in procedure.acl.iter().filter(|of| **of != "none" && !several) {
                if !doc.contains(&format!("`{permission}`")) {
                    wrong.push(format!("{path} does not say that {procedure} takes {permission}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_most_used_methods_have_examples() {
    let documented = items().into_iter().filter(|item| item.object.is_some() && item.doc.contains("```"));
    let mut of_each: BTreeMap<String, usize> = BTreeMap::new();
    for item in documented {
        *of_each.entry(item.object.expect("it is a method")).or_default() += 1;
    }
    for (object, most) in [("Connection", 20), ("Domain", 40)] {
        assert!(of_each[object] >= most, "{object} has {}", of_each[object]);
    }
}
