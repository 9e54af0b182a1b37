//! Connections within the process, which share one default node while one of them is open.

#[path = "common/raw.rs"]
mod raw;

use raw::Raw;
use virtwire_proto::program::remote::*;

const DEFAULT: &str = "test:///default";

async fn num(raw: &mut Raw) -> i32 {
    raw.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num
}

/// One test: the node that it is about is the process's.
#[test]
fn connections_of_a_process_share_its_default_node_across_runtimes() {
    let without = virtwire_embedded::connect().unwrap_err();
    assert_eq!(without.kind(), std::io::ErrorKind::Other, "{without}");

    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut one = first.block_on(async { Raw::opened(virtwire_embedded::connect().unwrap(), DEFAULT).await });
    first.block_on(async {
        let dom = one.domain("test").await;
        one.call(&DomainDestroyArgs { dom }).await.unwrap();
        assert_eq!(num(&mut one).await, 0);
    });
    second.block_on(async {
        let mut two = Raw::opened(virtwire_embedded::connect().unwrap(), DEFAULT).await;
        assert_eq!(num(&mut two).await, 0);
    });
    drop(second);
    // A runtime's end is the end of its connections.
    drop((one, first));
    runtime().block_on(async {
        let mut fresh = Raw::opened(virtwire_embedded::connect().unwrap(), DEFAULT).await;
        assert_eq!(num(&mut fresh).await, 1);
    });
}
