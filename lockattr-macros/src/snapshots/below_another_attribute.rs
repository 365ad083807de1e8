#[cfg(not(any(clippy, doc)))]
#[instrument]
async fn charge(Path(id): Path<u64>, order: Order) -> StatusCode {
    let __lockattr_handler = ::lockattr::__private::Handler::new();
    let __lockattr_refuse = ::core::clone::Clone::clone(&__lockattr_handler);
    let __lockattr_arguments = ::lockattr::__private::Box::new((order,));
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<StatusCode>();
        }
        let (__lockattr_1,) = *__lockattr_arguments;
        let id = id;
        let mut order = __lockattr_1;
        __lockattr_handler
            .set({
                let id = ::lockattr::__private::kept(&id);
                move |__lockattr_error: ::lockattr::Error| (::lockattr::__private::handler::<
                    StatusCode,
                    _,
                >(|error| refused(id, error)))(__lockattr_error)
            });
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("order:{id}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{id}", id = __lockattr_values.value(& id)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        match () {
            () => order.pay(id).await,
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
            },
            __lockattr_ending,
            move |__lockattr_error| __lockattr_refuse.call(__lockattr_error),
            __lockattr_body,
        )
        .await
}
#[cfg(any(clippy, doc))]
#[instrument]
async fn charge(Path(id): Path<u64>, mut order: Order) -> StatusCode {
    if false {
        let __lockattr_handler = ::lockattr::__private::Handler::new();
        let __lockattr_refuse = ::core::clone::Clone::clone(&__lockattr_handler);
        __lockattr_handler
            .set({
                let id = ::lockattr::__private::kept(&id);
                move |__lockattr_error: ::lockattr::Error| (::lockattr::__private::handler::<
                    StatusCode,
                    _,
                >(|error| refused(id, error)))(__lockattr_error)
            });
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("order:{id}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{id}", id = __lockattr_values.value(& id)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        return (move |__lockattr_error| {
            __lockattr_refuse.call(__lockattr_error)
        })(::lockattr::__private::never());
    }
    { order.pay(id).await }
}
