//! The `#[distributed_lock]` attribute of the `lockattr` crate; use it from there.

mod args;
mod arguments;
mod boxed;
mod constant;
mod duration;
mod errors;
mod expand;
mod function;
mod key;
mod key_call;
mod key_template;
mod lock;
mod output;
mod params;
mod plain;
mod refusal;
mod spans;
mod spec;
mod suggest;
mod template;
mod written;

#[cfg(test)]
mod snapshots;

use proc_macro::TokenStream;

/// Runs an `async fn` while holding a lock that the whole fleet respects.
///
#[doc = include_str!("options.md")]
#[proc_macro_attribute]
pub fn distributed_lock(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::distributed_lock(args.into(), &item.into()).into()
}

/// What `lockattr::key!` expands to.
#[doc(hidden)]
#[proc_macro]
pub fn key(input: TokenStream) -> TokenStream {
    key_call::key(input.into()).into()
}

/// What `lockattr::assert_held!` expands to.
#[doc(hidden)]
#[proc_macro]
pub fn assert_held(input: TokenStream) -> TokenStream {
    key_call::assert_held(input.into()).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_option_is_described() {
        let table = include_str!("options.md");
        for name in crate::args::option_names() {
            let row = format!("\n| `{name} = ");
            assert!(table.contains(&row), "`{name}` is not in docs/options.md");
        }
    }
}
