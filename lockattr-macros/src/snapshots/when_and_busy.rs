#[cfg(not(any(clippy, doc)))]
fn charge(
    id: u64,
    amount: u64,
) -> impl ::lockattr::__private::Future<Output = Result<Receipt, AppError>> {
    let __lockattr_handler = ::lockattr::__private::Handler::new();
    let __lockattr_refuse = ::core::clone::Clone::clone(&__lockattr_handler);
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<Result<Receipt, AppError>>();
        }
        let id = id;
        let amount = amount;
        __lockattr_handler
            .set({
                let id = ::lockattr::__private::kept(&id);
                move |__lockattr_error: ::lockattr::Error| (|__lockattr_error| match ::lockattr::__private::busy(
                    __lockattr_error,
                ) {
                    ::core::result::Result::Ok(__lockattr_busy) => {
                        ::lockattr::__private::on_busy::<
                            Result<Receipt, AppError>,
                            _,
                        >(|busy| later(id, busy), __lockattr_busy)
                    }
                    ::core::result::Result::Err(__lockattr_error) => {
                        (|__lockattr_error| ::lockattr::__private::refused::<
                            Result<Receipt, AppError>,
                        >(__lockattr_error))(__lockattr_error)
                    }
                })(__lockattr_error)
            });
        let __lockattr_when: bool = amount > 100;
        let __lockattr_lease = if __lockattr_when {
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
            ::core::option::Option::Some(
                ::lockattr::__private::enter(
                        ::lockattr::__private::installed(),
                        __lockattr_key,
                    )
                    .await,
            )
        } else {
            ::lockattr::__private::unlocked();
            ::core::option::Option::None
        };
        let lease = ::core::option::Option::as_ref(&__lockattr_lease);
        match () {
            () => pay(id, amount, lease).await,
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
                .error_when_lost()
                .permits(PERMITS, 2u32)
                .checked()
        },
        __lockattr_ending,
        move |__lockattr_error| __lockattr_refuse.call(__lockattr_error),
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
async fn charge(id: u64, amount: u64) -> Result<Receipt, AppError> {
    if false {
        let __lockattr_handler = ::lockattr::__private::Handler::new();
        let __lockattr_refuse = ::core::clone::Clone::clone(&__lockattr_handler);
        __lockattr_handler
            .set({
                let id = ::lockattr::__private::kept(&id);
                move |__lockattr_error: ::lockattr::Error| (|__lockattr_error| match ::lockattr::__private::busy(
                    __lockattr_error,
                ) {
                    ::core::result::Result::Ok(__lockattr_busy) => {
                        ::lockattr::__private::on_busy::<
                            Result<Receipt, AppError>,
                            _,
                        >(|busy| later(id, busy), __lockattr_busy)
                    }
                    ::core::result::Result::Err(__lockattr_error) => {
                        (|__lockattr_error| ::lockattr::__private::refused::<
                            Result<Receipt, AppError>,
                        >(__lockattr_error))(__lockattr_error)
                    }
                })(__lockattr_error)
            });
        let __lockattr_when: bool = amount > 100;
        if __lockattr_when {
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
            ::lockattr::__private::enter(
                    ::lockattr::__private::installed(),
                    __lockattr_key,
                )
                .await;
        } else {
            ::lockattr::__private::unlocked();
        }
        return (move |__lockattr_error| {
            __lockattr_refuse.call(__lockattr_error)
        })(::lockattr::__private::never());
    }
    let lease = ::lockattr::__private::never::<
        ::core::option::Option<&::lockattr::Lease>,
    >();
    { pay(id, amount, lease).await }
}
