use lockattr::{Error, distributed_lock};

async fn g() {}

#[distributed_lock(key = "k")]
async fn f() -> Result<(), Error> {
    let rc = std::rc::Rc::new(1);
    g().await;
    drop(rc);
    Ok(())
}

fn needs_send(_: impl Send) {}

fn h() {
    needs_send(f());
}

fn main() {}
