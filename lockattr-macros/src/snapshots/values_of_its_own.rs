#[cfg(not(any(clippy, doc)))]
fn charge(
    order: Order,
) -> impl ::lockattr::__private::Future<Output = Result<impl Display, AppError>> {
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<Result<_, AppError>>();
        }
        let order = order;
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
        ::lockattr::__private::enter(
                ::lockattr::__private::named("reports"),
                __lockattr_key,
            )
            .await;
        match () {
            () => order.pay().await,
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
                    "order:{id}",
                )
                .reentrant(true)
                .confirm_replicas(1u8)
                .confirm_fsync(true)
        },
        __lockattr_ending,
        |__lockattr_error| ::lockattr::__private::refused::<
            Result<_, AppError>,
        >(__lockattr_error),
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
async fn charge(order: Order) -> Result<impl Display, AppError> {
    if false {
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
        ::lockattr::__private::enter(
                ::lockattr::__private::named("reports"),
                __lockattr_key,
            )
            .await;
        return (::lockattr::__private::refused)(::lockattr::__private::never());
    }
    { order.pay().await }
}
