//! A small service that does what the tests ask for.

use bytes::Bytes;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, mpsc};
use uuid::Uuid;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::program::EventClass;
use virtwire_proto::program::remote::*;
use virtwire_server::{
    Client, Error, Object, Programs, RemoteService, Result, Server, Stream, StreamError, StreamItem,
};

/// A part of a download.
pub const PART: usize = 100_000;

/// A service with one domain.
pub struct Tiny {
    /// What CONNECT_GET_CAPABILITIES waits for.
    pub gate: Semaphore,
    /// Tells that such a call waits.
    pub waiting: Notify,
    /// How its streams ended.
    outcomes: mpsc::UnboundedSender<Outcome>,
    /// The last client that opened a connection.
    pub client: std::sync::Mutex<Option<Client>>,
}

/// How a stream ended, and what it had received.
pub type Outcome = (std::result::Result<(), StreamError>, Vec<StreamItem>);

pub fn tiny() -> (Arc<Tiny>, mpsc::UnboundedReceiver<Outcome>) {
    let (outcomes, receiver) = mpsc::unbounded_channel();
    let tiny = Tiny { gate: Semaphore::new(0), waiting: Notify::new(), outcomes, client: Default::default() };
    (Arc::new(tiny), receiver)
}

/// A server of the service.
pub fn server(tiny: &Arc<Tiny>) -> Server {
    Server::new(Arc::new(Programs::new().remote(Arc::clone(tiny))))
}

pub fn domain() -> NonnullDomain {
    NonnullDomain { name: "tiny".into(), uuid: Uuid::from_u128(0x17), id: 1 }
}

pub fn volume(name: &str) -> NonnullStorageVol {
    NonnullStorageVol { pool: "pool".into(), name: name.into(), key: name.into() }
}

pub fn lifecycle(callback_id: i32, event: i32) -> DomainEventCallbackLifecycleMsg {
    DomainEventCallbackLifecycleMsg {
        callback_id,
        msg: DomainEventLifecycleMsg { dom: domain(), event, detail: 0 },
    }
}

impl Tiny {
    pub fn client(&self) -> Client {
        self.client.lock().unwrap().clone().expect("a client has come")
    }

    fn spawn<F>(&self, work: F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let outcome = work.await;
            let _ = outcomes.send(outcome);
        });
    }
}

impl RemoteService for Tiny {
    async fn connect_open(&self, client: &Client, _: ConnectOpenArgs) -> Result<()> {
        *self.client.lock().unwrap() = Some(client.clone());
        Ok(())
    }

    async fn connect_get_hostname(
        &self,
        _: &Client,
        _: ConnectGetHostnameArgs,
    ) -> Result<ConnectGetHostnameRet> {
        Ok(ConnectGetHostnameRet { hostname: "tiny.example".into() })
    }

    async fn connect_get_uri(&self, _: &Client, _: ConnectGetUriArgs) -> Result<ConnectGetUriRet> {
        Ok(ConnectGetUriRet { uri: "test:///default".into() })
    }

    async fn connect_list_all_domains(
        &self,
        _: &Client,
        _: ConnectListAllDomainsArgs,
    ) -> Result<ConnectListAllDomainsRet> {
        Ok(ConnectListAllDomainsRet { domains: vec![domain()], ret: 1 })
    }

    async fn domain_lookup_by_name(
        &self,
        _: &Client,
        args: DomainLookupByNameArgs,
    ) -> Result<DomainLookupByNameRet> {
        if args.name.as_bytes() != b"tiny" {
            return Err(Error::raised(
                ErrorNumber::NO_DOMAIN,
                ErrorDomain::TEST,
                "Domain not found: %s",
                "no such domain",
            ));
        }
        Ok(DomainLookupByNameRet { dom: domain() })
    }

    async fn domain_get_state(&self, _: &Client, _: DomainGetStateArgs) -> Result<DomainGetStateRet> {
        Ok(DomainGetStateRet { state: 1, reason: 1 })
    }

    async fn domain_get_info(&self, _: &Client, _: DomainGetInfoArgs) -> Result<DomainGetInfoRet> {
        Ok(DomainGetInfoRet { state: 1, max_mem: 1024, memory: 512, nr_virt_cpu: 2, cpu_time: 7 })
    }

    /// Waits at the gate.
    async fn connect_get_capabilities(
        &self,
        _: &Client,
        _: ConnectGetCapabilitiesArgs,
    ) -> Result<ConnectGetCapabilitiesRet> {
        self.waiting.notify_one();
        self.gate.acquire().await.expect("the gate stays").forget();
        Ok(ConnectGetCapabilitiesRet { capabilities: "<capabilities/>".into() })
    }

    async fn connect_get_type(&self, _: &Client, _: ConnectGetTypeArgs) -> Result<ConnectGetTypeRet> {
        panic!("the panic of this test");
    }

    /// Panics behind a wait.
    async fn connect_get_version(
        &self,
        _: &Client,
        _: ConnectGetVersionArgs,
    ) -> Result<ConnectGetVersionRet> {
        tokio::task::yield_now().await;
        panic!("the other panic of this test");
    }

    /// As many parts as the flags say; the volume's name says how it ends.
    async fn storage_vol_download(
        &self,
        _: &Client,
        args: StorageVolDownloadArgs,
        mut stream: Stream,
    ) -> Result<()> {
        let ending = args.vol.name.to_str().unwrap().to_owned();
        if ending == "refused" {
            self.spawn(async move { (stream.finish().await, Vec::new()) });
            return Err(Error::raised(
                ErrorNumber::NO_STORAGE_VOL,
                ErrorDomain::STORAGE,
                "Storage volume not found: %s",
                "no such volume",
            ));
        }
        self.spawn(async move {
            for number in 0..args.flags {
                if let Err(error) = stream.send(Bytes::from(vec![number as u8; PART])).await {
                    return (Err(error), Vec::new());
                }
            }
            let result = match &*ending {
                "holes" => match stream.send_hole(1 << 40).await {
                    Ok(()) => stream.finish().await,
                    error => error,
                },
                "failing" => {
                    stream.fail(Error::raised(
                        ErrorNumber::SYSTEM_ERROR,
                        ErrorDomain::STORAGE,
                        "%s",
                        "cannot read",
                    ));
                    Ok(())
                }
                "dropped" => Ok(()),
                _ => stream.finish().await,
            };
            (result, Vec::new())
        });
        Ok(())
    }

    /// Receives until the client finishes; the volume's name says how it ends.
    async fn storage_vol_upload(
        &self,
        _: &Client,
        args: StorageVolUploadArgs,
        mut stream: Stream,
    ) -> Result<()> {
        let ending = args.vol.name.to_str().unwrap().to_owned();
        if ending == "at once" {
            stream.fail(Error::raised(ErrorNumber::SYSTEM_ERROR, ErrorDomain::STORAGE, "%s", "cannot write"));
            return Ok(());
        }
        if ending == "lost" {
            return Ok(());
        }
        self.waiting.notify_one();
        let wait = (ending == "slow").then_some(Arc::new(Notify::new()));
        self.spawn(async move {
            if let Some(wait) = wait {
                let _ = tokio::time::timeout(std::time::Duration::from_millis(300), wait.notified()).await;
            }
            let mut items = Vec::new();
            loop {
                match stream.receive().await {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(error) => return (Err(error), items),
                }
            }
            match &*ending {
                "failing" => {
                    stream.fail(Error::raised(
                        ErrorNumber::SYSTEM_ERROR,
                        ErrorDomain::STORAGE,
                        "%s",
                        "cannot write",
                    ));
                    (Ok(()), items)
                }
                _ => (stream.finish().await, items),
            }
        });
        Ok(())
    }

    /// An echo.
    async fn domain_open_console(&self, _: &Client, _: DomainOpenConsoleArgs, stream: Stream) -> Result<()> {
        let (mut sender, mut receiver) = stream.split();
        self.spawn(async move {
            let mut items = Vec::new();
            loop {
                match receiver.receive().await {
                    Ok(Some(StreamItem::Data(data))) if &data[..] == b"bye" => {
                        return (sender.finish().await, items);
                    }
                    Ok(Some(StreamItem::Data(data))) => {
                        items.push(StreamItem::Data(data.clone()));
                        if let Err(error) = sender.send(data).await {
                            return (Err(error), items);
                        }
                    }
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => return (sender.finish().await, items),
                    Err(error) => return (Err(error), items),
                }
            }
        });
        Ok(())
    }

    /// Writes into what it is given.
    async fn domain_open_graphics(
        &self,
        _: &Client,
        args: DomainOpenGraphicsArgs,
        descriptors: Vec<OwnedFd>,
    ) -> Result<()> {
        let count = descriptors.len();
        if count != args.idx as usize {
            return Err(Error::internal(format_args!("{count} descriptors")));
        }
        for (number, descriptor) in descriptors.into_iter().enumerate() {
            File::from(descriptor).write_all(&[number as u8]).unwrap();
        }
        Ok(())
    }

    /// Gives the reading end of a pipe that holds "graphics".
    async fn domain_open_graphics_fd(
        &self,
        _: &Client,
        _: DomainOpenGraphicsFdArgs,
    ) -> Result<((), Vec<OwnedFd>)> {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        File::from(writer).write_all(b"graphics").unwrap();
        Ok(((), vec![reader]))
    }

    async fn connect_domain_event_callback_register_any(
        &self,
        client: &Client,
        args: ConnectDomainEventCallbackRegisterAnyArgs,
    ) -> Result<ConnectDomainEventCallbackRegisterAnyRet> {
        let object = args.dom.map(|dom| Object::Uuid(dom.uuid));
        let callback_id = client.register(EventClass::Domain, args.event_id, object);
        // What happens before the answer comes behind it.
        let uuid = Object::Uuid(domain().uuid);
        client.notify(EventClass::Domain, args.event_id, Some(&uuid), |id| lifecycle(id, 100)).unwrap();
        if args.event_id == 99 {
            return Err(Error::internal("no such event"));
        }
        Ok(ConnectDomainEventCallbackRegisterAnyRet { callback_id })
    }

    async fn connect_domain_event_callback_deregister_any(
        &self,
        client: &Client,
        args: ConnectDomainEventCallbackDeregisterAnyArgs,
    ) -> Result<()> {
        client
            .deregister(EventClass::Domain, args.callback_id)
            .map(|_| ())
            .ok_or_else(|| Error::internal("no such callback"))
    }
}
