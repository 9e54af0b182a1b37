//! What a node file says of a domain besides its definition: elements of a namespace of their own.

use super::units::c_number;
use crate::error::{Result, error};
use crate::xml::{Element, Namespaces, Node};
use virtwire_proto::enums::{DomainState, ErrorDomain, ErrorNumber};

/// The namespace of the elements by which a node file says how a domain starts.
const TEST_NAMESPACE: &str = "http://libvirt.org/schemas/domain/test/1.0";

/// How a node file wants a domain to start; C: the `test:` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) run_state: DomainState,
    pub(crate) transient: bool,
    pub(crate) has_managed_save: bool,
}

impl Instructions {
    /// Takes the `test:` elements out of a domain's element.
    pub(super) fn take(root: &mut Element) -> Result<Self> {
        let refuse = |message: String| Err(error(ErrorDomain::TEST, ErrorNumber::XML_ERROR, message));

        let mut scope = Namespaces::default();
        scope.enter(root);
        let is_instruction = |element: &Element| scope.of(element) == Some(TEST_NAMESPACE);
        let mut taken = Vec::new();
        root.children.retain(|child| match child {
            Node::Element(element) if is_instruction(element) => {
                taken.push(element.clone());
                false
            }
            _ => true,
        });

        let find = |name: &str| taken.iter().find(|element| element.local_name() == name);
        let transient = find("transient").is_some();
        let has_managed_save = find("hasmanagedsave").is_some();
        let run_state = match find("runstate").map(Element::text).filter(|text| !text.is_empty()) {
            None => DomainState::RUNNING,
            Some(text) => match c_number(&text) {
                None => return refuse(format!("invalid runstate '{text}'")),
                Some(number) => match known_state(number) {
                    Some(state) => state,
                    None => return refuse(format!("runstate '{number}' is out of range")),
                },
            },
        };
        if transient && run_state == DomainState::SHUTOFF {
            return refuse("a transient domain cannot have runstate 'shutoff'".to_owned());
        }
        if has_managed_save && run_state != DomainState::SHUTOFF {
            return refuse("a domain with a managed save image must have runstate 'shutoff'".to_owned());
        }
        Ok(Self { run_state, transient, has_managed_save })
    }
}

/// The state with this number.
fn known_state(number: u64) -> Option<DomainState> {
    DomainState::known().find(|state| u64::try_from(state.0) == Ok(number))
}
