fn charge<'life0, 'async_trait>(
    &'life0 self,
    __arg1: Path<u64>,
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
        if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
            AppResult,
        > {
            #[allow(unreachable_code)] return __ret;
        }
        let __self = self;
        let __arg1 = __arg1;
        let Path(id) = __arg1;
        let __lockattr_key = {
            let __lockattr_values = ::lockattr::__private::Values::new("");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "order:{__lockattr_0}:{__lockattr_1}", __lockattr_0 =
                    __lockattr_values.value(& __self.tenant), __lockattr_1 =
                    __lockattr_values.value(& id)
                ),
            )
        };
        ::lockattr::__private::enter(::lockattr::__private::installed(), __lockattr_key)
            .await;
        match () {
            () => {
                let __ret: AppResult = { __self.pay(id).await };
                #[allow(unreachable_code)] __ret
            }
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
                    "order:{self.tenant}:{id}",
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
