#[cfg(not(any(clippy, doc)))]
#[inline]
fn transfer(
    from: u64,
    to: u64,
) -> impl ::lockattr::__private::Future<Output = Result<(), AppError>> {
    let __lockattr_handler_1 = ::lockattr::__private::Handler::new();
    let __lockattr_refuse_1 = ::core::clone::Clone::clone(&__lockattr_handler_1);
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<Result<(), AppError>>();
        }
        let from = from;
        let to = to;
        __lockattr_handler_1
            .set({
                let from = ::lockattr::__private::kept(&from);
                move |__lockattr_error: ::lockattr::Error| (::lockattr::__private::handler::<
                    Result<(), AppError>,
                    _,
                >(|error| refused(from, error)))(__lockattr_error)
            });
        let __lockattr_key = [
            {
                #[allow(unexpected_cfgs)]
                {
                    #[cfg(rust_analyzer)]
                    if false {
                        _ = ::lockattr::__private::format_args!("account:{from}");
                    }
                }
                let __lockattr_values = ::lockattr::__private::Values::new("");
                ::lockattr::__private::key(
                    &__lockattr_values,
                    ::lockattr::__private::format_args!(
                        "account:{from}", from = __lockattr_values.value(& from)
                    ),
                )
            },
        ];
        let __lockattr_lease = ::lockattr::__private::enter_all(
                1usize,
                ::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        let outer = &__lockattr_lease;
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("account:{to}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "account:{to}", to = __lockattr_values.value(& to)
                ),
            )
        };
        let __lockattr_lease = ::lockattr::__private::enter(
                ::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        let inner = &__lockattr_lease;
        match () {
            () => book(outer, inner).await,
        }
    });
    let __lockattr_ending_1 = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    let __lockattr_ending = {
        use ::lockattr::__private::{ResultOutput as _, ValueOutput as _};
        (&__lockattr_output)
            .judging({
                use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
                (&__lockattr_output).ending()
            })
    };
    ::lockattr::__private::locked(
        const {
            &::lockattr::__private::Spec::new(
                ::core::concat!(::core::module_path!(), "::transfer"),
                "account:{from}",
            )
        },
        __lockattr_ending_1,
        move |__lockattr_error| __lockattr_refuse_1.call(__lockattr_error),
        ::lockattr::__private::locked(
            const {
                &::lockattr::__private::Spec::new(
                        ::core::concat!(::core::module_path!(), "::transfer"),
                        "account:{to}",
                    )
                    .min_hold(::lockattr::__private::Duration::new(1u64, 0u32))
            },
            __lockattr_ending,
            |__lockattr_error| ::lockattr::__private::refused::<
                Result<(), AppError>,
            >(__lockattr_error),
            __lockattr_body,
        ),
    )
}
#[cfg(any(clippy, doc))]
#[inline]
async fn transfer(from: u64, to: u64) -> Result<(), AppError> {
    if false {
        let __lockattr_handler_1 = ::lockattr::__private::Handler::new();
        let __lockattr_refuse_1 = ::core::clone::Clone::clone(&__lockattr_handler_1);
        __lockattr_handler_1
            .set({
                let from = ::lockattr::__private::kept(&from);
                move |__lockattr_error: ::lockattr::Error| (::lockattr::__private::handler::<
                    Result<(), AppError>,
                    _,
                >(|error| refused(from, error)))(__lockattr_error)
            });
        let __lockattr_key = [
            {
                #[allow(unexpected_cfgs)]
                {
                    #[cfg(rust_analyzer)]
                    if false {
                        _ = ::lockattr::__private::format_args!("account:{from}");
                    }
                }
                let __lockattr_values = ::lockattr::__private::Values::new("");
                ::lockattr::__private::key(
                    &__lockattr_values,
                    ::lockattr::__private::format_args!(
                        "account:{from}", from = __lockattr_values.value(& from)
                    ),
                )
            },
        ];
        ::lockattr::__private::enter_all(
                1usize,
                ::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        let __lockattr_key = {
            #[allow(unexpected_cfgs)]
            {
                #[cfg(rust_analyzer)]
                if false {
                    _ = ::lockattr::__private::format_args!("account:{to}");
                }
            }
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "account:{to}", to = __lockattr_values.value(& to)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        if false {
            return (move |__lockattr_error| {
                __lockattr_refuse_1.call(__lockattr_error)
            })(::lockattr::__private::never());
        }
        return (::lockattr::__private::refused)(::lockattr::__private::never());
    }
    let outer = ::lockattr::__private::never::<&::lockattr::Lease>();
    let inner = ::lockattr::__private::never::<&::lockattr::Lease>();
    { book(outer, inner).await }
}
