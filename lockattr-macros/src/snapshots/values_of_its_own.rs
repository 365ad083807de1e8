async fn charge(order: Order) -> Result<impl Display, AppError> {
    let __lockattr_key = match (&(order.id()),) {
        (__lockattr_value_0,) => {
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{id}", id = __lockattr_values.value(__lockattr_value_0)
                ),
            )
        }
    };
    ::lockattr::__private::hold(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
                    .reentrant(true)
            },
            ::lockattr::__private::named("reports"),
            __lockattr_key,
            move |_| async move {
                if false {
                    return ::lockattr::__private::never::<Result<_, AppError>>();
                }
                order.pay().await
            },
        )
        .await
}
