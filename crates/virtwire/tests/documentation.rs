//! What the documentation says of each object and each method: read from the source, as rustdoc shows it.

#[path = "support/source.rs"]
mod source;

use source::{Item, OBJECTS, items, methods};
use std::collections::BTreeMap;
use virtwire::proto::program::Version;

/// Types that are no objects of a daemon's, and that a user has to do with at once.
const OTHERS: [&str; 7] =
    ["AgentTimeout", "Builder", "CallOptions", "CpuSet", "MigrateParams", "OptionalText", "Stream"];

/// Methods that go through several procedures: their documentation speaks of the whole.
const OF_MANY: [&str; 2] = ["Domain::migrate", "Domain::migrate_to_uri"];

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
        let doc = item.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        if !doc.contains("# Errors") {
            wrong.push(format!("{path} does not speak of errors"));
        }
        if OF_MANY.contains(&path.as_str()) {
            continue;
        }
        for procedure in &method.procedures {
            if let Some(name) = procedure.c_name.filter(|name| !item.aliases.iter().any(|of| of == name)) {
                wrong.push(format!("{path} cannot be found by {name}"));
            }
            let says = |since: &Version| {
                ["Since libvirt", "since libvirt", "since"]
                    .iter()
                    .any(|word| doc.contains(&format!("{word} {since}")))
            };
            if let Some(since) = procedure.since.filter(|since| !says(since)) {
                wrong.push(format!("{path} does not say that {procedure} is there since {since}"));
            }
            for permission in procedure.acl.iter().filter(|of| **of != "none") {
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
