//! Measures what the library adds, in interleaved rounds: machines are noisy, ratios less so.
//!
//! `cargo run --release -p benches` starts a server of its own.

mod by_hand;
mod io_thread;
mod macro_overhead;
mod rounds;

#[tokio::main]
async fn main() {
    println!(
        "{} cores",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    io_thread::run().await;
    macro_overhead::run().await;
}
