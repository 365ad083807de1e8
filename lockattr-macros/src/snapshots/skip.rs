#[cfg(not(any(clippy, doc)))]
fn nightly() -> impl ::lockattr::__private::Future<Output = ()> {
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<()>();
        }
        let __lockattr_key = {
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!("nightly",),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        match () {
            () => {
                clean_up().await;
            }
        }
    });
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    ::lockattr::__private::locked(
        const {
            &::lockattr::__private::Spec::new(
                    ::core::concat!(::core::module_path!(), "::nightly"),
                    "nightly",
                )
                .wait(::lockattr::__private::Duration::new(0u64, 0u32))
                .max_hold(::lockattr::__private::Duration::new(300u64, 0u32))
                .finish_when_lost()
        },
        __lockattr_ending,
        |__lockattr_error: ::lockattr::Error| {
            use ::lockattr::__private::{Fallible as _, Infallible as _};
            (&::lockattr::__private::Skip::<()>::NEW).by_type().refused(__lockattr_error)
        },
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
async fn nightly() {
    if false {
        let __lockattr_key = {
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!("nightly",),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        return (|__lockattr_error: ::lockattr::Error| {
            use ::lockattr::__private::{Fallible as _, Infallible as _};
            (&::lockattr::__private::Skip::<()>::NEW).by_type().refused(__lockattr_error)
        })(::lockattr::__private::never());
    }
    {
        clean_up().await;
    }
}
