fn charge<'life0, 'async_trait>(
    &'life0 self,
    id: u64,
) -> ::core::pin::Pin<
    Box<dyn ::core::future::Future<Output = AppResult> + Send + 'async_trait>,
>
where
    'life0: 'async_trait,
{
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<AppResult>();
        }
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
            () => self.pay(id).await,
        }
    });
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    Box::pin(
        ::lockattr::__private::locked(
            const {
                &::lockattr::__private::Spec::new(
                    ::core::concat!(::core::module_path!(), "::charge"),
                    "order:{id}",
                )
            },
            __lockattr_ending,
            |__lockattr_error| ::lockattr::__private::refused::<
                AppResult,
            >(__lockattr_error),
            __lockattr_body,
        ),
    )
}
