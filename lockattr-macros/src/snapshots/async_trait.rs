fn charge<'life0, 'async_trait>(
    &'life0 self,
    id: u64,
) -> ::core::pin::Pin<
    Box<dyn ::core::future::Future<Output = AppResult> + Send + 'async_trait>,
>
where
    'life0: 'async_trait,
{
    ::std::boxed::Box::pin(async move {
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
        ::lockattr::__private::hold(
                const {
                    &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
                },
                ::lockattr::__private::installed(),
                __lockattr_key,
                move |_| { Box::pin(async move { self.pay(id).await }) },
            )
            .await
    })
}
