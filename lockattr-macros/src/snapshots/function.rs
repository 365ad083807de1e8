#[cfg(not(any(clippy, doc)))]
/// Charges.
pub fn charge(
    order_id: u64,
) -> impl ::lockattr::__private::Future<Output = Result<Receipt, AppError>> {
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<Result<Receipt, AppError>>();
        }
        let order_id = order_id;
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("order:{order_id}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{order_id}", order_id = __lockattr_values.value(& order_id)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        match () {
            () => pay(order_id).await,
        }
    });
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    ::lockattr::__private::locked(
        const {
            &::lockattr::__private::Spec::new(
                    ::core::concat!(::core::module_path!(), "::charge"),
                    "order:{order_id}",
                )
                .ttl(::lockattr::__private::Duration::new(10u64, 0u32))
                .wait(::lockattr::__private::Duration::new(2u64, 0u32))
        },
        __lockattr_ending,
        |__lockattr_error| ::lockattr::__private::refused::<
            Result<Receipt, AppError>,
        >(__lockattr_error),
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
/// Charges.
pub async fn charge(order_id: u64) -> Result<Receipt, AppError> {
    if false {
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("order:{order_id}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{order_id}", order_id = __lockattr_values.value(& order_id)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        return (::lockattr::__private::refused)(::lockattr::__private::never());
    }
    { pay(order_id).await }
}
