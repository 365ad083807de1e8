//! The lock service that etcd itself has.

use http::uri::PathAndQuery;
use prost::Message;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// It lasts longer than a run, so that nothing has to keep it alive.
const LEASE_SECONDS: i64 = 60;

/// All locks of a process are bound to one lease, so its tasks must want different keys.
#[derive(Clone)]
pub(crate) struct EtcdLock {
    channel: Channel,
    lease: i64,
}

impl EtcdLock {
    pub(crate) async fn connect(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        let channel = endpoint.connect().await.expect("the server is there");
        let mut this = Self { channel, lease: 0 };
        let path = "/etcdserverpb.Lease/LeaseGrant";
        let question = LeaseGrantRequest { ttl: LEASE_SECONDS };
        let granted: LeaseGrantResponse = this.ask(path, question).await;
        this.lease = granted.id;
        this
    }

    pub(crate) async fn hold<R>(&self, key: &str, section: impl AsyncFnOnce() -> R) -> R {
        let question = LockRequest {
            name: key.into(),
            lease: self.lease,
        };
        let locked: LockResponse = self.ask("/v3lockpb.Lock/Lock", question).await;
        let result = section().await;
        let question = UnlockRequest { key: locked.key };
        let _: UnlockResponse = self.ask("/v3lockpb.Lock/Unlock", question).await;
        result
    }

    async fn ask<Q, A>(&self, path: &'static str, question: Q) -> A
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.expect("the server is there");
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = client.unary(Request::new(question), path, codec).await;
        answer.expect("the server is there").into_inner()
    }
}

#[derive(Message)]
struct LeaseGrantRequest {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Message)]
struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[derive(Message)]
struct LockRequest {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(int64, tag = "2")]
    lease: i64,
}

#[derive(Message)]
struct LockResponse {
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

#[derive(Message)]
struct UnlockRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Message)]
struct UnlockResponse {}
