async fn charge(order: Order) -> Result<impl Display, AppError> {
    let __lockattr_arguments = ::lockattr::__private::Box::new((order,));
    let __lockattr_body = async move {
        if false {
            return ::lockattr::__private::never::<Result<_, AppError>>();
        }
        let (__lockattr_0,) = *__lockattr_arguments;
        let order = __lockattr_0;
        let __lockattr_key = {
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{id}", id = __lockattr_values.value(& (order.id()))
                ),
            )
        };
        ::lockattr::__private::enter(
                ::lockattr::__private::named("reports"),
                __lockattr_key,
            )
            .await;
        match () {
            () => order.pay().await,
        }
    };
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&::lockattr::__private::Output::of(&__lockattr_body)).ending()
    };
    ::lockattr::__private::locked(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
                    .reentrant(true)
            },
            __lockattr_ending,
            ::lockattr::__private::refused::<Result<_, AppError>>,
            __lockattr_body,
        )
        .await
}
