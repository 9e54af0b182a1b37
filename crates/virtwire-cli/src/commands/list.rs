//! `virtwire list`: the domains.

use std::cmp::Ordering;
use std::io::Write;

use serde::Serialize;
use serde_json::Value;
use virtwire_proto::enums::DomainState;
use virtwire_proto::flags::ListAllDomainsFlags;
use virtwire_proto::xdr::Text;

use super::{Rule, Table, write_array};
use crate::connect;
use crate::failure::Failure;
use crate::json;

/// Which domains to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Active,
    Inactive,
    All,
}

impl Choice {
    pub(crate) fn new(all: bool, inactive: bool) -> Self {
        match (all, inactive) {
            (true, _) => Self::All,
            (false, true) => Self::Inactive,
            (false, false) => Self::Active,
        }
    }

    fn flags(self) -> ListAllDomainsFlags {
        match self {
            Self::Active => ListAllDomainsFlags::ACTIVE,
            Self::Inactive => ListAllDomainsFlags::INACTIVE,
            Self::All => ListAllDomainsFlags::ACTIVE | ListAllDomainsFlags::INACTIVE,
        }
    }
}

/// One domain. Three of the fields' names are the JSON's keys, which are a contract; the name is not always text.
struct Row {
    id: Option<u32>,
    name: Text,
    uuid: uuid::Uuid,
    state: DomainState,
}

#[derive(Serialize)]
struct JsonRow {
    id: Option<u32>,
    name: Value,
    uuid: String,
    state: String,
}

/// Prints the domains, in virsh's order and words.
pub(crate) async fn run(
    uri: Option<&str>,
    choice: Choice,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let connection = connect::open(uri).await?;
    let domains = connection.list_all_domains(choice.flags()).await.map_err(Failure::call)?;
    // All at once: a distant server is asked once, so to speak.
    let asked = domains.into_iter().map(|domain| {
        tokio::spawn(async move {
            let state = domain.state().await;
            (domain, state)
        })
    });
    let mut rows = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        let (domain, state) = asked.await.map_err(Failure::connection)?;
        match state {
            Ok((state, _)) => {
                rows.push(Row { id: domain.id(), name: domain.name().clone(), uuid: domain.uuid(), state })
            }
            // Gone since it was listed.
            Err(error) if error.is_no_domain() => {}
            Err(error) => return Err(Failure::call(error)),
        }
    }
    rows.sort_by(Row::order);
    write(&rows, json, output)?;
    // What was asked for is there; nothing more is at stake.
    let _ = connection.close().await;
    Ok(())
}

fn write(rows: &[Row], json: bool, output: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return write_array(rows.iter().map(Row::json), output);
    }
    let mut table = Table::new(["Id", "Name", "State"]);
    for row in rows {
        let id = row.id.map_or("-".to_owned(), |id| id.to_string());
        table.push([id, printable(&row.name), state_name(row.state).to_owned()]);
    }
    table.write(Rule::Virsh, output).and_then(|()| output.flush()).map_err(Failure::output)
}

impl Row {
    /// Active ones by their numbers, then the others by their names, whatever the case of these.
    fn order(&self, other: &Self) -> Ordering {
        let name = |row: &Self| row.name.as_bytes().to_ascii_lowercase();
        match (self.id, other.id) {
            (Some(own), Some(others)) => own.cmp(&others),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => name(self).cmp(&name(other)),
        }
    }

    fn json(&self) -> JsonRow {
        JsonRow {
            id: self.id,
            name: json::text(&self.name),
            uuid: self.uuid.to_string(),
            state: state_name(self.state).to_owned(),
        }
    }
}

/// The state in virsh's words.
fn state_name(state: DomainState) -> &'static str {
    match state {
        DomainState::RUNNING => "running",
        DomainState::BLOCKED => "idle",
        DomainState::PAUSED => "paused",
        DomainState::SHUTDOWN => "in shutdown",
        DomainState::SHUTOFF => "shut off",
        DomainState::CRASHED => "crashed",
        DomainState::PMSUSPENDED => "pmsuspended",
        _ => "no state",
    }
}

/// A name without what would steer a terminal.
fn printable(name: &Text) -> String {
    let visible = |char: char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
    name.to_string_lossy().chars().map(visible).collect()
}
