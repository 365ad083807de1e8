//! Plain functions of every form.
#![deny(warnings)]

use std::fmt::Display;
use std::rc::Rc;

use lockattr::{Error, LockPool, distributed_lock};

/// # Safety
///
/// None is needed; the point is the signature.
#[distributed_lock(key = "k")]
pub unsafe fn unsafe_one() -> Result<u8, Error> {
    Ok(1)
}

#[distributed_lock(key = "{n}", or_else = |_| 0)]
pub extern "C" fn foreign(n: u8) -> u8 {
    n
}

#[distributed_lock(key = "{id}")]
fn generic<'a, T: Display + ?Sized, const N: usize>(id: &'a T, _: [u8; N]) -> Result<&'a T, Error> {
    Ok(id)
}

#[distributed_lock(key = "{n}")]
fn opaque(n: impl Display + Clone) -> Result<impl Display, Box<dyn std::error::Error>> {
    Ok(n.clone())
}

#[distributed_lock(key = "{n}")]
fn not_send(n: Rc<u8>) -> Result<Rc<u8>, Error> {
    if *n == 0 {
        return Ok(n);
    }
    Ok(Rc::new(*n - 1))
}

#[distributed_lock(key = "fib:{n}")]
fn recursive(n: u32) -> Result<u32, Error> {
    Ok(if n < 2 { n } else { recursive(n - 1)? + recursive(n - 2)? })
}

trait Store {
    fn first(&mut self) -> Result<&mut u8, Error>;
}

struct Bytes(Vec<u8>);

impl Store for Bytes {
    #[distributed_lock(key = "first")]
    fn first(&mut self) -> Result<&mut u8, Error> {
        let first = self.0.first_mut();
        Ok(first.expect("it has one"))
    }
}

impl Bytes {
    #[distributed_lock(key = "len", on_lost = "finish", release = "background")]
    fn into_len(self) -> Result<usize, Error> {
        Ok(self.0.len())
    }
}

fn main() {
    let pool = LockPool::builder().url("memory://").build_blocking().unwrap();
    pool.scope_blocking(|| {
        // SAFETY: as its documentation says.
        assert_eq!(unsafe { unsafe_one() }.unwrap(), 1);
        assert_eq!(foreign(2), 2);
        assert_eq!(generic("id", [0; 3]).unwrap(), "id");
        assert_eq!(opaque(4).unwrap().to_string(), "4");
        assert_eq!(*not_send(Rc::new(5)).unwrap(), 4);
        assert_eq!(recursive(6).unwrap(), 8);
        let mut bytes = Bytes(vec![1, 2]);
        *bytes.first().unwrap() = 7;
        assert_eq!(bytes.0[0], 7);
        assert_eq!(bytes.into_len().unwrap(), 2);
    });
}
