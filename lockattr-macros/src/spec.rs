//! The options that the runtime gets, as a constant.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Args, OnLost, Release};
use crate::constant::Constant;
use crate::lock::Lock;

/// Returns a `&'static Spec`.
pub(crate) fn spec(lock: &Lock, private: &TokenStream, function: &str) -> TokenStream {
    let (args, is_plain) = (&lock.args, lock.is_plain);
    let name = format!("::{function}");
    let path = quote!(::core::concat!(::core::module_path!(), #name));
    let keys = lock.templates();
    let mut spec = quote!(#private::Spec::new(#path, #keys));
    times(args, private, &mut spec);
    if let Some(renew) = args.renew {
        spec.extend(quote!(.renew(#renew)));
    }
    match args.on_lost {
        // Code that blocks its thread cannot be cancelled.
        None if is_plain => spec.extend(quote!(.error_when_lost())),
        None | Some(OnLost::Cancel) => {}
        Some(OnLost::Finish) => spec.extend(quote!(.finish_when_lost())),
        Some(OnLost::Error) => spec.extend(quote!(.error_when_lost())),
    }
    if args.shared == Some(true) {
        spec.extend(quote!(.shared()));
    }
    if let Some(permits) = &args.permits {
        let (permits, weight) = (number(permits), args.weight.as_ref().map(number));
        let weight = weight.unwrap_or_else(|| quote!(1u32));
        spec.extend(quote!(.permits(#permits, #weight)));
    }
    if let Some(counts) = args.min_hold_on_failure {
        spec.extend(quote!(.min_hold_on_failure(#counts)));
    }
    if let Some(reentrant) = args.reentrant {
        spec.extend(quote!(.reentrant(#reentrant)));
    }
    match args.release {
        None => {}
        Some(Release::Await) => spec.extend(quote!(.await_release())),
        Some(Release::Background) => spec.extend(quote!(.release_in_background())),
    }
    if let Some(replicas) = args.confirm_replicas {
        spec.extend(quote!(.confirm_replicas(#replicas)));
    }
    if let Some(fsync) = args.confirm_fsync {
        spec.extend(quote!(.confirm_fsync(#fsync)));
    }
    if !args.has_constants() {
        return quote!(const { &#spec });
    }
    spec.extend(quote!(.checked()));
    if args.has_closed_constants() {
        // `cargo check` evaluates an item already.
        quote!(const { const SPEC: #private::Spec = #spec; &SPEC })
    } else {
        quote!(const { &#spec })
    }
}

fn times(args: &Args, private: &TokenStream, spec: &mut TokenStream) {
    if let Some(ttl) = &args.ttl {
        let ttl = duration(ttl, private);
        spec.extend(quote!(.ttl(#ttl)));
    }
    match &args.wait {
        None if args.skips_when_busy() => {
            let wait = literal(Duration::ZERO, private);
            spec.extend(quote!(.wait(#wait)));
        }
        None => {}
        Some(Constant::Literal(None, _)) => spec.extend(quote!(.wait_forever())),
        Some(Constant::Literal(Some(wait), _)) => {
            let wait = literal(*wait, private);
            spec.extend(quote!(.wait(#wait)));
        }
        Some(Constant::Const(wait)) => spec.extend(quote!(.wait(#wait))),
    }
    if let Some(max_hold) = &args.max_hold {
        let max_hold = duration(max_hold, private);
        spec.extend(quote!(.max_hold(#max_hold)));
    }
    if let Some(min_hold) = &args.min_hold {
        let min_hold = duration(min_hold, private);
        spec.extend(quote!(.min_hold(#min_hold)));
    }
}

fn number(constant: &Constant<u32>) -> TokenStream {
    match constant {
        Constant::Literal(number, _) => quote!(#number),
        Constant::Const(expr) => quote!(#expr),
    }
}

fn duration(constant: &Constant<Duration>, private: &TokenStream) -> TokenStream {
    match constant {
        Constant::Literal(duration, _) => literal(*duration, private),
        Constant::Const(expr) => quote!(#expr),
    }
}

fn literal(duration: Duration, private: &TokenStream) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(#private::Duration::new(#seconds, #nanos))
}
