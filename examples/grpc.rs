//! A locked method of a tonic service: `lockattr::Error` is a status, with the time after which to ask again.
//!
//! The service is the health service of gRPC, whose messages are in a crate, so no `protoc` is needed.

use std::time::Duration;

use futures_util::stream;
use lockattr::distributed_lock;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

struct Checks;

#[tonic::async_trait]
impl Health for Checks {
    type WatchStream = stream::Pending<Result<HealthCheckResponse, Status>>;

    #[distributed_lock(key("check:{name}", name = request.get_ref().service), ttl = "10s", wait = "0s")]
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        println!("checking {name}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Response::new(HealthCheckResponse::default()))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask with `check`"))
    }
}

/// Returns whether it was checked, and says why not.
async fn check(mut client: HealthClient<tonic::transport::Channel>) -> bool {
    let service = "database".to_owned();
    let Err(status) = client.check(HealthCheckRequest { service }).await else {
        return true;
    };
    let again = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    println!(
        "{:?}: {}; again after {again:?}",
        status.code(),
        status.message()
    );
    false
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let endpoint = Endpoint::try_from(format!("http://{}", incoming.local_addr()?))?;
    let server = Server::builder().add_service(HealthServer::new(Checks));
    tokio::spawn(server.serve_with_incoming(incoming));

    let client = HealthClient::new(endpoint.connect().await?);
    let (one, other) = tokio::join!(check(client.clone()), check(client));
    anyhow::ensure!(one != other, "one of them runs, the other one is refused");
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
