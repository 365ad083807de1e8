//! `lockattr::Error` as the error of an actix-web handler.

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use lockattr::distributed_lock;
use lockattr_tests::RedisServer;

use super::{Shop, clients_learn_what_happened, read};

#[distributed_lock(key = "order:{id}", pool = shop.locks, ttl = "900ms", wait = "0s")]
#[actix_web::post("/{id}")]
async fn order(shop: web::Data<Shop>, id: web::Path<u64>) -> Result<HttpResponse, lockattr::Error> {
    let _ = id;
    shop.order().await;
    Ok(HttpResponse::Ok().finish())
}

#[actix_web::test]
async fn an_error_is_an_answer() {
    let server = RedisServer::start();
    let shop = Shop::open(&server).await;
    let data = web::Data::new(shop.clone());
    let serves = HttpServer::new(move || App::new().app_data(data.clone()).service(order));
    let serves = serves.workers(1).bind("127.0.0.1:0").unwrap();
    let address = serves.addrs()[0];
    let serves = serves.disable_signals().run();
    let handle = serves.handle();
    let service = actix_web::rt::spawn(serves);
    let client = reqwest::Client::new();
    let ask = move || {
        let request = client.post(format!("http://{address}/7"));
        async { read(request.send().await.unwrap()).await }
    };
    clients_learn_what_happened(server, shop, ask, Duration::from_secs(1)).await;
    handle.stop(false).await;
    service.await.unwrap().unwrap();
}
