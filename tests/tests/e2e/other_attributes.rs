//! Below the attributes of other crates: the lock is taken, and those attributes work as usual.

use actix_web::web;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use lockattr::{LockPool, distributed_lock};

#[derive(Clone)]
struct App {
    locks: LockPool,
    tenant: &'static str,
}

#[derive(Debug)]
struct AppError(lockattr::Error);

impl From<lockattr::Error> for AppError {
    fn from(error: lockattr::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, self.0.to_string()).into_response()
    }
}

fn held() -> String {
    lockattr::current().map_or_else(String::new, |lease| lease.key().to_owned())
}

#[distributed_lock(key = "axum:{app.tenant}:{id}", pool = app.locks, wait = "0s")]
#[axum::debug_handler]
async fn handler(State(app): State<App>, Path(id): Path<u64>) -> Result<String, AppError> {
    let _ = (app, id);
    Ok(held())
}

async fn serve<R: Send + 'static>(router: Router<()>, ask: impl AsyncFnOnce(String) -> R) -> R {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let answer = ask(format!("http://{address}")).await;
    server.abort();
    answer
}

#[tokio::test]
async fn axum_handlers() {
    let locks = LockPool::memory().await.unwrap();
    let app = App {
        locks: locks.clone(),
        tenant: "a:b",
    };
    let router = Router::new().route("/{id}", post(handler)).with_state(app);
    serve(router, async |url| {
        let post = || reqwest::Client::new().post(format!("{url}/7")).send();
        assert_eq!(post().await.unwrap().text().await.unwrap(), "axum:a%3Ab:7");
        let _guard = locks.lock("axum:a%3Ab:7").acquire().await.unwrap();
        assert_eq!(post().await.unwrap().status().as_u16(), 409);
    })
    .await;
}

#[distributed_lock(key = "actix:{id}", pool = pool.get_ref(), or_else = |error| error.to_string())]
#[actix_web::get("/{id}")]
async fn route(id: web::Path<u64>, pool: web::Data<LockPool>) -> String {
    let _ = (id, pool);
    held()
}

#[actix_web::get("/below/{id}")]
#[distributed_lock(key = "actix-below:{id}", pool = pool.get_ref(), or_else = |error| error.to_string())]
async fn route_below(id: web::Path<u64>, pool: web::Data<LockPool>) -> String {
    let _ = (id, pool);
    held()
}

#[actix_web::test]
async fn actix_routes() {
    let pool = web::Data::new(LockPool::memory().await.unwrap());
    let app = actix_web::App::new()
        .app_data(pool)
        .service(route)
        .service(route_below);
    let app = actix_web::test::init_service(app).await;
    for (path, key) in [("/7", "actix:7"), ("/below/7", "actix-below:7")] {
        let request = actix_web::test::TestRequest::get().uri(path).to_request();
        let body = actix_web::test::call_and_read_body(&app, request).await;
        assert_eq!(body, key);
    }
}

#[tonic::async_trait]
trait Greeter {
    async fn greet(
        &self,
        name: tonic::Request<String>,
    ) -> Result<tonic::Response<String>, tonic::Status>;
}

#[tonic::async_trait]
impl Greeter for App {
    #[distributed_lock(
        key = "tonic:{self.tenant}",
        pool = self.locks,
        or_else = |error| Err(tonic::Status::aborted(error.to_string()))
    )]
    async fn greet(
        &self,
        name: tonic::Request<String>,
    ) -> Result<tonic::Response<String>, tonic::Status> {
        Ok(tonic::Response::new(format!(
            "{} {}",
            name.into_inner(),
            held()
        )))
    }
}

#[tokio::test]
async fn tonic_services() {
    let app = App {
        locks: LockPool::memory().await.unwrap(),
        tenant: "t",
    };
    let answer = app
        .greet(tonic::Request::new("hello".to_owned()))
        .await
        .unwrap();
    assert_eq!(answer.into_inner(), "hello tonic:t");
}

#[distributed_lock(key = "instrumented:{id}", bind = lease)]
#[tracing::instrument(skip_all, err)]
async fn instrumented(id: u64) -> Result<String, lockattr::Error> {
    let _ = id;
    Ok(lease.key().to_owned())
}

#[tracing::instrument(err)]
#[distributed_lock(key = "below:{id}")]
async fn instrumented_below(id: u64) -> Result<String, lockattr::Error> {
    let _ = id;
    Ok(held())
}

#[tokio::test]
async fn tracing_instrument_on_either_side() {
    let pool = LockPool::memory().await.unwrap();
    pool.scope(async {
        assert_eq!(instrumented(1).await.unwrap(), "instrumented:1");
        assert_eq!(instrumented_below(1).await.unwrap(), "below:1");
    })
    .await;
}

#[distributed_lock(key = "test", or_else = |error| assert!(matches!(error, lockattr::Error::NotConfigured { .. })))]
#[tokio::test]
async fn on_top_of_tokio_test() {
    unreachable!("no pool is installed in this process");
}

#[distributed_lock(key = "main")]
#[tokio::main(flavor = "current_thread")]
async fn on_top_of_tokio_main() -> Result<(), lockattr::Error> {
    Ok(())
}

#[test]
fn tokio_main_below_the_attribute() {
    let missing = on_top_of_tokio_main().unwrap_err();
    assert!(
        matches!(missing, lockattr::Error::NotConfigured { .. }),
        "{missing}"
    );
}
