//! Events: to whom, in which order, and what becomes of a client that does not read them.

mod common;

use common::raw::Raw;
use common::soon;
use common::tiny::{domain, lifecycle, server, tiny};
use uuid::Uuid;
use virtwire_proto::program::EventClass;
use virtwire_proto::program::remote::*;
use virtwire_server::{Client, CloseReason, Config, Object};

const REGISTER: ConnectDomainEventCallbackRegisterAnyArgs =
    ConnectDomainEventCallbackRegisterAnyArgs { event_id: 0, dom: None };

/// An event of the domain, to whoever is to get it; how many did.
fn happen(client: &Client, event: i32) -> usize {
    let object = Object::Uuid(domain().uuid);
    client.notify(EventClass::Domain, 0, Some(&object), |id| lifecycle(id, event)).unwrap()
}

#[tokio::test]
async fn every_registration_of_every_client_gets_its_events() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let mut clients = Vec::new();
    for count in 1..4 {
        let mut raw = Raw::opened(&server).await;
        for id in 0..count {
            assert_eq!(raw.call(&REGISTER).await.unwrap().callback_id, id);
        }
        clients.push((raw, tiny.client(), count));
    }
    for (_, client, count) in &clients {
        assert_eq!(happen(client, 7), *count as usize);
    }
    for (raw, _, count) in &mut clients {
        // Registering sends one to those that are there already, and to the new one behind the answer.
        let mut seen = vec![0; *count as usize];
        loop {
            let message = raw.message::<DomainEventCallbackLifecycleMsg>().await;
            if message.msg.event == 7 {
                seen[message.callback_id as usize] += 1;
            }
            if seen.iter().all(|times| *times == 1) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_happens_while_registering_comes_behind_the_answer() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let serial = raw.start(&REGISTER);
    while raw.left().len() < 2 {
        soon(raw.turn()).await;
    }
    let order: Vec<_> = raw.left().iter().map(|event| format!("{event:?}")).collect();
    assert!(order[0].starts_with("Reply") && order[1].starts_with("Message"), "{order:?}");
    assert_eq!(raw.reply(serial).await.map(|_| ()), Ok(()));
    assert_eq!(raw.message::<DomainEventCallbackLifecycleMsg>().await.msg.event, 100);
}

#[tokio::test]
async fn a_registration_whose_call_fails_is_void() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let args = ConnectDomainEventCallbackRegisterAnyArgs { event_id: 99, dom: None };
    raw.call(&args).await.unwrap_err();
    let sent = tiny.client().notify(EventClass::Domain, 99, None, |id| lifecycle(id, 1)).unwrap();
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn a_registration_for_one_domain_gets_that_domains_events() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let other = NonnullDomain { uuid: Uuid::from_u128(1), ..domain() };
    for dom in [domain(), other] {
        let args = ConnectDomainEventCallbackRegisterAnyArgs { event_id: 0, dom: Some(dom) };
        raw.call(&args).await.unwrap();
    }
    assert_eq!(happen(&tiny.client(), 1), 1);
}

#[tokio::test]
async fn nothing_comes_behind_deregistering() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let callback_id = raw.call(&REGISTER).await.unwrap().callback_id;
    let deregister = ConnectDomainEventCallbackDeregisterAnyArgs { callback_id };
    raw.call(&deregister).await.unwrap();
    assert_eq!(happen(&tiny.client(), 1), 0);
    raw.call(&deregister).await.unwrap_err();
    assert_eq!(raw.call(&REGISTER).await.unwrap().callback_id, callback_id + 1, "a number comes once");
}

#[tokio::test]
async fn who_reads_no_events_is_disconnected_and_nobody_else() {
    let (tiny, _) = tiny();
    let server = server(&tiny).with_config(Config::new().max_waiting_events(100_000));
    let mut raw = Raw::opened(&server).await;
    raw.call(&REGISTER).await.unwrap();
    let lazy = tiny.client();
    let mut good = Raw::opened(&server).await;
    good.call(&REGISTER).await.unwrap();
    let reading = tiny.client();
    for event in 0..20_000 {
        happen(&lazy, event);
        tokio::task::yield_now().await;
        if lazy.is_closed() {
            break;
        }
    }
    let reason = soon(lazy.closed()).await;
    let CloseReason::Backlog { waiting, max: 100_000 } = reason else { panic!("{reason}") };
    assert!((100_001..101_000).contains(&waiting), "{waiting}");
    assert_eq!(
        reason.to_string(),
        format!("the peer does not read: {waiting} bytes wait for it, at most 100000 may")
    );
    assert_eq!(happen(&lazy, 1), 0);
    assert_eq!(good.message::<DomainEventCallbackLifecycleMsg>().await.msg.event, 100);
    for event in 0..20_000 {
        happen(&reading, event);
        let message = good.message::<DomainEventCallbackLifecycleMsg>().await;
        assert_eq!(message.msg.event, event);
        if event % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(!reading.is_closed());
}

#[tokio::test]
async fn who_has_registered_is_told_that_the_connection_is_lost() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    tiny.client().connection_closed(1);
    raw.call(&ConnectRegisterCloseCallbackArgs {}).await.unwrap();
    tiny.client().connection_closed(2);
    raw.call(&ConnectUnregisterCloseCallbackArgs {}).await.unwrap();
    tiny.client().connection_closed(3);
    assert_eq!(raw.message::<ConnectEventConnectionClosedMsg>().await.reason, 2);
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
    assert!(raw.left().is_empty(), "{:?}", raw.left());
}
