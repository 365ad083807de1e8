#![no_implicit_prelude]
#![allow(dead_code, unused_macros)]

extern crate std;

use ::lockattr::{Error, distributed_lock};
use ::std::result::Result::{self, Ok};

macro_rules! concat {
    ($($t:tt)*) => { ::std::compile_error!("shadowed") };
}
macro_rules! module_path {
    ($($t:tt)*) => { ::std::compile_error!("shadowed") };
}
macro_rules! format_args {
    ($($t:tt)*) => { ::std::compile_error!("shadowed") };
}

mod lockattr {}
mod core {}

#[derive(::std::default::Default)]
struct Skip;
struct Some;
struct Values;
struct Fallible;

#[distributed_lock(key = "k:{id}", ttl = "1s")]
async fn template(id: u8) -> Result<u8, Error> {
    Ok(id)
}

#[distributed_lock(key("k:{id.0}:{n}", n = id.0), on_busy = "skip", bind = lease)]
async fn skips(id: (u8,)) -> Skip {
    let _ = lease.key();
    Skip
}

fn main() {
    ::std::mem::drop((template(1), skips((1,))));
}
