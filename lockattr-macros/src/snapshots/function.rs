/// Charges.
pub async fn charge(order_id: u64) -> Result<Receipt, AppError> {
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
    ::lockattr::__private::hold(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
                    .ttl(::lockattr::__private::Duration::new(10u64, 0u32))
                    .wait(::lockattr::__private::Duration::new(2u64, 0u32))
            },
            ::lockattr::__private::installed(),
            __lockattr_key,
            move |_| async move {
                if false {
                    return ::lockattr::__private::never::<Result<Receipt, AppError>>();
                }
                pay(order_id).await
            },
        )
        .await
}
