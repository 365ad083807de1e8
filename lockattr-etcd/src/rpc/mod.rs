//! etcd's gRPC interface: single calls, without any memory of them.

mod messages;

use futures_util::stream::Stream;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request as Call, Status, Streaming};
use tonic_prost::ProstCodec;

pub(crate) use messages::*;

/// What proves who asks. It must not be printed.
pub(crate) type Token = MetadataValue<Ascii>;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Nothing was sent.
    NotSent(String),
    /// The connection was given up before an answer came.
    GivenUp,
    Status(Status),
}

/// A call, and the type of its answer.
pub(crate) trait Method: Message + Default + Send + Sync + 'static {
    type Answer: Message + Default + Send + Sync + 'static;
    const PATH: &'static str;
}

macro_rules! methods {
    ($($question:ident => $answer:ident at $path:literal),* $(,)?) => {$(
        impl Method for $question {
            type Answer = $answer;
            const PATH: &'static str = concat!("/etcdserverpb.", $path);
        }
    )*};
}

methods! {
    RangeRequest => RangeResponse at "KV/Range",
    TxnRequest => TxnResponse at "KV/Txn",
    LeaseGrantRequest => LeaseGrantResponse at "Lease/LeaseGrant",
    LeaseKeepAliveRequest => LeaseKeepAliveResponse at "Lease/LeaseKeepAlive",
    LeaseTimeToLiveRequest => LeaseTimeToLiveResponse at "Lease/LeaseTimeToLive",
    WatchRequest => WatchResponse at "Watch/Watch",
    AuthenticateRequest => AuthenticateResponse at "Auth/Authenticate",
    StatusRequest => StatusResponse at "Maintenance/Status",
    MemberListRequest => MemberListResponse at "Cluster/MemberList",
}

/// Asks one thing. Where etcd has a stream of questions, as for keep-alives, it is a stream of one.
pub(crate) async fn ask<Q: Method>(
    channel: &Channel,
    token: Option<&Token>,
    question: Q,
) -> Result<Q::Answer, CallError> {
    let mut client = ready(channel).await?;
    let path = PathAndQuery::from_static(Q::PATH);
    let answer = client
        .unary(with(token, question), path, ProstCodec::default())
        .await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(CallError::Status)
}

/// Opens a stream. It has an answer before this returns.
pub(crate) async fn converse<Q: Method>(
    channel: &Channel,
    token: Option<&Token>,
    questions: impl Stream<Item = Q> + Send + 'static,
) -> Result<Streaming<Q::Answer>, CallError> {
    let mut client = ready(channel).await?;
    let path = PathAndQuery::from_static(Q::PATH);
    let answers = client
        .streaming(with(token, questions), path, ProstCodec::default())
        .await;
    answers
        .map(tonic::Response::into_inner)
        .map_err(CallError::Status)
}

async fn ready(channel: &Channel) -> Result<Grpc<Channel>, CallError> {
    let mut client = Grpc::new(channel.clone());
    let ready = client.ready().await;
    ready.map_err(|error| CallError::NotSent(in_full(&error)))?;
    Ok(client)
}

fn with<T>(token: Option<&Token>, message: T) -> Call<T> {
    let mut call = Call::new(message);
    let metadata = call.metadata_mut();
    // A member without a leader says so, instead of letting the call wait for one.
    metadata.insert("hasleader", MetadataValue::from_static("true"));
    if let Some(token) = token {
        metadata.insert("token", token.clone());
    }
    call
}

/// An error with its causes: transports hide what matters in them.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
