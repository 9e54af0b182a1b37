//! Typed parameters, wherever a structure has them.

use crate::support::connect;
use virtwire::flags::{DomainStatsTypes, GetAllDomainStatsFlags};
use virtwire::proto::program::remote;
use virtwire::proto::typed_params::{TypedParam, TypedParamsExt, TypedValue};

/// Naively, parameters are decoded where a reply is a list of them, and nowhere else.
#[tokio::test]
async fn parameters_of_every_type_inside_records_are_decoded() {
    let (connection, mut peer) = connect().await;
    let values = |number: i32| {
        vec![
            TypedValue::Int(-number),
            TypedValue::Uint(u32::MAX),
            TypedValue::Llong(i64::MIN),
            TypedValue::Ullong(u64::MAX),
            TypedValue::Double(0.5),
            TypedValue::Boolean(1),
            TypedValue::String(format!("text {number}").into()),
        ]
    };
    let record = move |number: i32| remote::DomainStatsRecord {
        dom: remote::NonnullDomain {
            name: format!("guest{number}").into(),
            id: number,
            ..Default::default()
        },
        params: values(number)
            .into_iter()
            .enumerate()
            .map(|(index, value)| TypedParam { field: format!("field.{index}").into(), value })
            .collect(),
    };
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection.all_domain_stats(DomainStatsTypes::empty(), GetAllDomainStatsFlags::empty()).await
        }
    });
    let id = peer.call_of::<remote::ConnectGetAllDomainStatsArgs>().await.id;
    let reply = remote::ConnectGetAllDomainStatsRet { ret_stats: (1..=50).map(record).collect() };
    peer.with(move |server| server.reply(id, &reply).unwrap()).await;
    let records = asking.await.unwrap().unwrap();
    assert_eq!(records.len(), 50);
    for (record, number) in records.iter().zip(1..) {
        assert_eq!(record.domain.name().to_string(), format!("guest{number}"));
        for (index, value) in values(number).iter().enumerate() {
            assert_eq!(record.params.get_value(&format!("field.{index}")), Some(value));
        }
    }
}
