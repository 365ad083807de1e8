//! The expansion of the main shapes, formatted for people.
//!
//! `UPDATE_EXPECT=1 cargo test -p lockattr-macros` rewrites the files.

use expect_test::{ExpectFile, expect_file};
use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::distributed_lock;

#[track_caller]
fn check(args: TokenStream, item: &TokenStream, expected: &ExpectFile) {
    let expanded = distributed_lock(args, item);
    let file = syn::parse2(expanded).expect("the expansion is Rust");
    expected.assert_eq(&prettyplease::unparse(&file));
}

#[test]
fn function() {
    check(
        quote!(key = "order:{order_id}", ttl = "10s", wait = "2s"),
        &quote! {
            /// Charges.
            pub async fn charge(order_id: u64) -> Result<Receipt, AppError> {
                pay(order_id).await
            }
        },
        &expect_file!["snapshots/function.rs"],
    );
}

#[test]
fn method_with_fields() {
    check(
        quote!(
            key = "{self.tenant}-{req.user.id:04}",
            pool = self.locks,
            bind = lease
        ),
        &quote! {
            async fn charge(&self, req: Request) -> AppResult {
                self.pay(req, lease.fencing_token()).await
            }
        },
        &expect_file!["snapshots/method_with_fields.rs"],
    );
}

#[test]
fn values_of_its_own() {
    check(
        quote!(
            key("order:{id}", id = order.id()),
            pool = "reports",
            reentrant = true,
            confirm_replicas = 1,
            confirm_fsync = true
        ),
        &quote! {
            async fn charge(order: Order) -> Result<impl Display, AppError> {
                order.pay().await
            }
        },
        &expect_file!["snapshots/values_of_its_own.rs"],
    );
}

#[test]
fn skip() {
    check(
        quote!(
            key = "nightly",
            wait = "0s",
            on_busy = "skip",
            max_hold = "5m",
            on_lost = "finish"
        ),
        &quote! {
            async fn nightly() {
                clean_up().await;
            }
        },
        &expect_file!["snapshots/skip.rs"],
    );
}

#[test]
fn or_else_and_expressions() {
    check(
        quote!(
            key = order_key(&order),
            ttl = TTL,
            wait = "forever",
            renew = false,
            or_else = StatusCode::from,
            crate = crate::lockattr
        ),
        &quote! {
            async fn charge(order: Order) -> StatusCode {
                order.pay().await
            }
        },
        &expect_file!["snapshots/or_else_and_expressions.rs"],
    );
}

#[test]
fn async_trait() {
    check(
        quote!(key = "order:{id}"),
        &quote! {
            fn charge<'life0, 'async_trait>(
                &'life0 self,
                id: u64,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = AppResult> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
            {
                Box::pin(async move { self.pay(id).await })
            }
        },
        &expect_file!["snapshots/async_trait.rs"],
    );
}

#[test]
fn async_trait_patterns() {
    check(
        quote!(key = "order:{self.tenant}:{id}"),
        &quote! {
            fn charge<'life0, 'async_trait>(
                &'life0 self,
                __arg1: Path<u64>,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = AppResult> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
            {
                Box::pin(async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<AppResult> {
                        #[allow(unreachable_code)]
                        return __ret;
                    }
                    let __self = self;
                    let Path(id) = {
                        let __arg1 = __arg1;
                        __arg1
                    };
                    let __ret: AppResult = { __self.pay(id).await };
                    #[allow(unreachable_code)]
                    __ret
                })
            }
        },
        &expect_file!["snapshots/async_trait_patterns.rs"],
    );
}

#[test]
fn below_another_attribute() {
    check(
        quote!(key = "order:{id}", or_else = |error| refused(id, error)),
        &quote! {
            #[instrument]
            async fn charge(Path(id): Path<u64>, mut order: Order) -> StatusCode {
                order.pay(id).await
            }
        },
        &expect_file!["snapshots/below_another_attribute.rs"],
    );
}

#[test]
fn several_locks() {
    check(
        quote!(
            key = "account:{from}",
            bind = outer,
            or_else = |error| refused(from, error)
        ),
        &quote! {
            #[distributed_lock(key = "account:{to}", bind = inner, min_hold = "1s")]
            #[inline]
            async fn transfer(from: u64, to: u64) -> Result<(), AppError> {
                book(outer, inner).await
            }
        },
        &expect_file!["snapshots/several_locks.rs"],
    );
}

#[test]
fn when_and_busy() {
    check(
        quote!(
            key = "order:{id}",
            when = amount > 100,
            bind = lease,
            on_busy = |busy| later(id, busy),
            on_lost = "error",
            permits = PERMITS,
            weight = 2
        ),
        &quote! {
            async fn charge(id: u64, amount: u64) -> Result<Receipt, AppError> {
                pay(id, amount, lease).await
            }
        },
        &expect_file!["snapshots/when_and_busy.rs"],
    );
}

/// Half-typed code from an editor: the function must stay, whatever its body is.
#[test]
fn half_typed_body() {
    let expanded = distributed_lock(
        quote!(key = "order:{order}"),
        &quote! {
            async fn charge(order: Order) -> AppResult {
                let total = order.
            }
        },
    );
    let text = expanded.to_string();
    assert!(
        text.contains("enter") && text.contains("let total = order ."),
        "{text}"
    );
}

#[test]
fn half_typed_attribute() {
    let item = quote!(
        async fn charge() -> AppResult {
            Ok(())
        }
    );
    for args in [
        quote!(key),
        quote!(key =),
        quote!(key = "a", tt),
        quote!(key = "a", ttl =),
        quote!(key = "a", ,),
    ] {
        let text = distributed_lock(args.clone(), &item).to_string();
        assert!(text.starts_with(&item.to_string()), "{args}: {text}");
        assert!(text.contains("compile_error"), "{args}: {text}");
    }
}
