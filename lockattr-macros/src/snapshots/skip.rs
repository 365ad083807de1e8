async fn nightly() {
    let __lockattr_key = {
        let __lockattr_values = ::lockattr::__private::Values::new("");
        ::lockattr::__private::key(
            &__lockattr_values,
            ::lockattr::__private::format_args!("nightly",),
        )
    };
    ::lockattr::__private::hold_or(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "nightly")
                    .wait(::lockattr::__private::Duration::new(0u64, 0u32))
                    .max_hold(::lockattr::__private::Duration::new(300u64, 0u32))
                    .finish_when_lost()
            },
            ::lockattr::__private::installed(),
            __lockattr_key,
            |__lockattr_error| {
                use ::lockattr::__private::{Fallible as _, Infallible as _};
                (&::lockattr::__private::Skip::<()>::NEW)
                    .by_type()
                    .refused(__lockattr_error)
            },
            move |_| async move {
                if false {
                    return ::lockattr::__private::never::<()>();
                }
                clean_up().await;
            },
        )
        .await
}
