//! Admission: what a client may call before it has authenticated itself, and how it does so.

use super::{CallId, IncomingCall, ReplyError, Server, ServerEvent};
use crate::connection::SecurityLayer;
use crate::error::{auth_error, malformed_error};
use crate::program::remote::{
    self, AuthListArgs, AuthListRet, AuthPolkitArgs, AuthPolkitRet, AuthSaslInitArgs, AuthSaslInitRet,
    AuthSaslStartArgs, AuthSaslStartRet, AuthSaslStepArgs, AuthSaslStepRet,
};
use crate::program::{Call, Procedure};
use crate::xdr::{DecodeError, Text};
use alloc::boxed::Box;
use alloc::vec;
use bytes::Bytes;

/// How a client has to authenticate itself (remote_auth_type).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// By polkit's decision about the process at the other end of the UNIX socket.
    Polkit,
    /// By a SASL mechanism.
    Sasl,
}

impl Authentication {
    fn wire(self) -> i32 {
        match self {
            Self::None => remote::AuthType::NONE.0,
            Self::Sasl => remote::AuthType::SASL.0,
            Self::Polkit => remote::AuthType::POLKIT.0,
        }
    }
}

/// What a SASL mechanism answers to a step of the client's.
#[derive(Debug)]
#[non_exhaustive]
pub enum SaslReply {
    /// The mechanism goes on: the client has to answer this.
    Challenge(Option<Bytes>),
    /// The client is who it says. What follows this reply goes through the layer, if there is one.
    Complete {
        /// The mechanism's last word. Absent is not the same as empty.
        data: Option<Bytes>,
        /// The security layer that the mechanism has negotiated, if it has.
        layer: Option<Box<dyn SecurityLayer>>,
    },
    /// The client is not who it says. It is told no more than that.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sasl {
    Before,
    Initialised,
    Started,
}

#[derive(Debug)]
pub(super) struct Admission {
    authentication: Authentication,
    admitted: bool,
    sasl: Sasl,
    /// The call whose authentication is being decided. Whether what follows it is sealed is not known before.
    deciding: Option<CallId>,
}

impl Admission {
    pub(super) fn new(authentication: Authentication) -> Self {
        let admitted = authentication == Authentication::None;
        Self { authentication, admitted, sasl: Sasl::Before, deciding: None }
    }

    /// Only the procedures that authenticate are allowed before authentication, whatever the definitions say
    /// of their priority or permissions.
    pub(super) fn allows(&self, procedure: &Procedure) -> bool {
        self.admitted
            || [
                AuthListArgs::PROCEDURE,
                AuthPolkitArgs::PROCEDURE,
                AuthSaslInitArgs::PROCEDURE,
                AuthSaslStartArgs::PROCEDURE,
                AuthSaslStepArgs::PROCEDURE,
            ]
            .contains(&procedure)
    }

    pub(super) fn deciding(&self) -> bool {
        self.deciding.is_some()
    }

    fn expects(&self, authentication: Authentication, sasl: Sasl) -> bool {
        self.authentication == authentication && self.sasl == sasl && !self.admitted
    }
}

impl Server {
    /// Whether the client has been let in.
    #[must_use]
    pub fn admitted(&self) -> bool {
        self.admission.admitted
    }

    /// Lets the client in without asking it, as libvirtd does with root where polkit would decide. To be
    /// called before anything is received.
    pub fn admit(&mut self) {
        self.admission.authentication = Authentication::None;
        self.admission.admitted = true;
    }

    /// Answers a polkit request: lets the client in, or tells it the error.
    ///
    /// # Errors
    /// [`ReplyError::NotWaiting`].
    pub fn decide(
        &mut self,
        id: CallId,
        decision: Result<(), &crate::program::net::MessageError>,
    ) -> Result<(), ReplyError> {
        match decision {
            Ok(()) => {
                self.reply(id, &AuthPolkitRet { complete: 1 })?;
                self.admission.admitted = true;
            }
            Err(error) => self.reply_error(id, error)?,
        }
        self.admission.deciding = None;
        Ok(())
    }

    /// Tells the client which SASL mechanisms there are: their names, with commas or blanks between them.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn sasl_mechanisms(&mut self, id: CallId, mechanisms: &str) -> Result<(), ReplyError> {
        self.reply(id, &AuthSaslInitRet { mechlist: Text::from(mechanisms) })?;
        self.admission.deciding = None;
        self.admission.sasl = Sasl::Initialised;
        Ok(())
    }

    /// Answers a step of a SASL mechanism. A security layer is in place for all that follows the answer.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn sasl_reply(&mut self, id: CallId, reply: SaslReply) -> Result<(), ReplyError> {
        let (complete, data, layer) = match reply {
            SaslReply::Challenge(data) => (false, data, None),
            SaslReply::Complete { data, layer } => (true, data, layer),
            SaslReply::Failed => {
                self.admission.deciding = None;
                self.admission.sasl = Sasl::Before;
                return self.reply_error(id, &auth_error());
            }
        };
        let nil = data.is_none().into();
        let data = data.unwrap_or_default();
        if self.admission.sasl == Sasl::Initialised {
            self.reply(id, &AuthSaslStartRet { complete: complete.into(), nil, data })?;
        } else {
            self.reply(id, &AuthSaslStepRet { complete: complete.into(), nil, data })?;
        }
        self.admission.deciding = None;
        self.admission.sasl = Sasl::Started;
        self.admission.admitted = complete;
        if let Some(layer) = layer {
            self.link.install(layer);
        }
        Ok(())
    }

    /// Deals with a call that authenticates; gives back any other.
    pub(super) fn take_authentication(&mut self, call: IncomingCall) -> Option<IncomingCall> {
        let IncomingCall { id, procedure, .. } = call;
        let event = if procedure == AuthListArgs::PROCEDURE {
            // Nothing more is asked of a client that has been let in.
            let asked =
                if self.admission.admitted { Authentication::None } else { self.admission.authentication };
            let types = vec![remote::AuthType(asked.wire())];
            self.reply(id, &AuthListRet { types }).ok();
            return None;
        } else if procedure == AuthPolkitArgs::PROCEDURE {
            self.expected(id, Authentication::Polkit, Sasl::Before).then_some(ServerEvent::Polkit { id })
        } else if procedure == AuthSaslInitArgs::PROCEDURE {
            self.expected(id, Authentication::Sasl, Sasl::Before).then_some(ServerEvent::SaslInit { id })
        } else if procedure == AuthSaslStartArgs::PROCEDURE {
            self.decoded(id, call.args::<AuthSaslStartArgs>())
                .filter(|_| self.expected(id, Authentication::Sasl, Sasl::Initialised))
                .map(|args| ServerEvent::SaslStart {
                    id,
                    mechanism: args.mech,
                    data: data(args.nil, args.data),
                })
        } else if procedure == AuthSaslStepArgs::PROCEDURE {
            self.decoded(id, call.args::<AuthSaslStepArgs>())
                .filter(|_| self.expected(id, Authentication::Sasl, Sasl::Started))
                .map(|args| ServerEvent::SaslStep { id, data: data(args.nil, args.data) })
        } else {
            return Some(call);
        };
        if let Some(event) = event {
            self.admission.deciding = Some(id);
            self.events.push_back(event);
        }
        None
    }

    /// Whether this step is the one that is to come; refuses it where it is not.
    fn expected(&mut self, id: CallId, authentication: Authentication, sasl: Sasl) -> bool {
        let expected = self.admission.expects(authentication, sasl);
        if !expected {
            self.reply_error(id, &auth_error()).ok();
        }
        expected
    }

    fn decoded<C>(&mut self, id: CallId, args: Result<C, DecodeError>) -> Option<C> {
        args.map_err(|error| {
            self.reply_error(id, &malformed_error(&error)).ok();
        })
        .ok()
    }
}

/// SASL tells no data from empty data; the wire has a flag for it.
fn data(nil: i32, data: Bytes) -> Option<Bytes> {
    (nil == 0).then_some(data)
}
