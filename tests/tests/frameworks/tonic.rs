//! `lockattr::Error` as a status of gRPC, under `#[tonic::async_trait]`. The service is the health service
//! of gRPC, whose messages are in a crate.

use std::time::Duration;

use futures_util::stream;
use lockattr::distributed_lock;
use lockattr_tests::RedisServer;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

use super::{Answer, Shop, clients_learn_what_happened};

#[tonic::async_trait]
impl Health for Shop {
    type WatchStream = stream::Pending<Result<HealthCheckResponse, Status>>;

    #[distributed_lock(
        key("order:{id}", id = request.get_ref().service),
        pool = self.locks,
        ttl = "900ms",
        wait = "0s"
    )]
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let _ = request;
        self.order().await;
        Ok(Response::new(HealthCheckResponse::default()))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not of this test"))
    }
}

fn read(status: &Status) -> Answer {
    assert!(!format!("{status:?}").contains("order:7"), "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "lockattr");
    let after = details.retry_info().and_then(|info| info.retry_delay);
    match (status.code(), info.reason.as_str()) {
        (Code::Aborted, "LOCK_BUSY") => Answer::Busy(after),
        (Code::Unavailable, "LOCK_UNAVAILABLE") => Answer::Unavailable(after),
        (Code::Internal, "LOCK_LOST") => Answer::Lost,
        _ => panic!("{status:?}"),
    }
}

#[tokio::test]
async fn an_error_is_a_status() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let service = HealthServer::new(shop.clone());
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    let client = HealthClient::new(endpoint.connect().await.unwrap());
    let ask = move || {
        let (mut client, service) = (client.clone(), "7".to_owned());
        async move {
            match client.check(HealthCheckRequest { service }).await {
                Ok(_) => Answer::Done,
                Err(status) => read(&status),
            }
        }
    };
    clients_learn_what_happened(server, shop, ask, Duration::from_secs(1)).await;
}
