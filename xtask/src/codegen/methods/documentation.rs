//! What is said of a method: what it does, since when, for whom, with which errors, and an example.

use super::Subject;
use crate::protocol::Procedure;
use anyhow::{Result, bail};
use std::fmt::Write as _;

impl Subject<'_> {
    /// The documentation, and what else the method is found by.
    pub(super) fn doc(&self) -> Result<String> {
        let older = self.entry.plain.as_deref().map(|name| self.older(name)).transpose()?;
        let mut doc = String::new();
        for paragraph in self.entry.doc.trim().split("\n\n") {
            paragraph_of(&mut doc, paragraph);
        }
        let facts = self.facts(older);
        if !facts.is_empty() {
            paragraph_of(&mut doc, &facts.join(" "));
        }
        let of = if self.program.name == "admin" { "AdminConnection" } else { "Connection" };
        let more = self.entry.errors.as_ref().map_or_else(String::new, |more| format!("; {more}"));
        paragraph_of(&mut doc, "# Errors");
        lines_of(&mut doc, &format!("As [`{of}::call`](crate::{of}::call){more}."));
        if let Some(example) = &self.entry.example {
            paragraph_of(&mut doc, "# Examples");
            self.example(&mut doc, example)?;
        }
        for function in older.into_iter().chain([self.procedure]).filter_map(|of| of.c_name.as_ref()) {
            let _ = writeln!(doc, "#[doc(alias = {function:?})]");
        }
        Ok(doc)
    }

    /// Since when there is what is called, and whom libvirt lets call it.
    fn facts(&self, older: Option<&Procedure>) -> Vec<String> {
        let mut facts = Vec::new();
        match (older.and_then(|of| of.since.as_ref()), &self.procedure.since) {
            (Some(older), Some(since)) => {
                facts.push(format!("Since libvirt {older}, with all that it takes since {since}."));
            }
            (None, Some(since)) => facts.push(format!("Since libvirt {since}.")),
            _ => {}
        }
        let mut permissions: Vec<_> = self.procedure.acl.iter().filter(|acl| *acl != "none").collect();
        for acl in older.iter().flat_map(|of| &of.acl) {
            if !permissions.contains(&acl) {
                permissions.push(acl);
            }
        }
        for (what, list) in
            [("Permissions", permissions), ("Filtered by", self.procedure.acl_filter.iter().collect())]
        {
            if !list.is_empty() {
                let list: Vec<_> = list.into_iter().map(|of| format!("`{of}`")).collect();
                facts.push(format!("{what}: {}.", list.join(", ")));
            }
        }
        facts
    }

    /// The example: in a function that has the object, or in a program that opens the embedded hypervisor's default node
    /// and takes the object from there.
    fn example(&self, doc: &mut String, statements: &str) -> Result<()> {
        let object = self.object.name;
        let variable = if self.object.maker.is_empty() { "connection" } else { self.object.maker };
        let (fence, before) = if self.entry.runs {
            let found = match object {
                "Connection" => "",
                "Domain" => "\n# let domain = connection.domain_lookup_by_name(\"test\").await?;",
                other => bail!("the embedded hypervisor has no {other}"),
            };
            let open = "# #[tokio::main(flavor = \"current_thread\")]\n\
                # async fn main() -> virtwire::Result<()> {\n\
                # let connection = virtwire::Connection::open(\"test:///default\").await?;";
            (
                "#[cfg_attr(all(unix, feature = \"embedded\"), doc = \"```\")]\n\
                #[cfg_attr(not(all(unix, feature = \"embedded\")), doc = \"```no_run\")]\n",
                format!("{open}{found}"),
            )
        } else {
            let function =
                format!("# async fn example({variable}: virtwire::{object}) -> virtwire::Result<()> {{");
            ("/// ```no_run\n", function)
        };
        let (uses, statements): (Vec<_>, Vec<_>) =
            statements.trim().lines().partition(|line| line.starts_with("use "));
        doc.push_str(fence);
        for line in uses.into_iter().chain(before.lines()).chain(statements).chain(["# Ok(())", "# }", "```"])
        {
            let _ = writeln!(doc, "/// {line}");
        }
        Ok(())
    }
}

/// Writes a paragraph of documentation, behind an empty line where there is something before it.
fn paragraph_of(doc: &mut String, text: &str) {
    if !doc.is_empty() {
        doc.push_str("///\n");
    }
    lines_of(doc, text);
}

/// Writes lines of documentation that fit into the file's width.
fn lines_of(doc: &mut String, text: &str) {
    const WIDTH: usize = 110 - "    ///".len();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(doc, "///{line}");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(doc, "///{line}");
}
