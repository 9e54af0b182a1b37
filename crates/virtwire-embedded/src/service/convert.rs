//! Between what the model says and what calls carry.

use crate::{DomainRef, Error};
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::remote::NonnullDomain;
use virtwire_proto::xdr::Text;

impl From<NonnullDomain> for DomainRef {
    fn from(domain: NonnullDomain) -> Self {
        let NonnullDomain { name, uuid, id } = domain;
        Self { name, uuid, id }
    }
}

impl From<DomainRef> for NonnullDomain {
    fn from(domain: DomainRef) -> Self {
        let DomainRef { name, uuid, id } = domain;
        Self { name, uuid, id }
    }
}

impl From<Error> for MessageError {
    fn from(error: Error) -> Self {
        let text = |text: Option<String>| text.map(Text::from);
        Self {
            code: error.code.0,
            domain: error.domain.0,
            message: Some(Text::from(error.message)),
            level: Error::LEVEL,
            str1: text(error.str1),
            str2: text(error.str2),
            str3: text(error.str3),
            int1: error.int1,
            int2: error.int2,
            ..Self::default()
        }
    }
}

impl From<Error> for virtwire_server::Error {
    fn from(error: Error) -> Self {
        MessageError::from(error).into()
    }
}
