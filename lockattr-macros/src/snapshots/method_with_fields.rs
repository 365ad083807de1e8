async fn charge(&self, req: Request) -> AppResult {
    let __lockattr_pool = ::lockattr::__private::given(&self.locks);
    let __lockattr_key = {
        let __lockattr_values = ::lockattr::__private::Values::new("-");
        ::lockattr::__private::key(
            &__lockattr_values,
            ::lockattr::__private::format_args!(
                "{__lockattr_0}-{__lockattr_1:04}", __lockattr_0 = __lockattr_values
                .value(& self.tenant), __lockattr_1 = __lockattr_values.value(& req.user
                .id)
            ),
        )
    };
    ::lockattr::__private::hold(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
            },
            __lockattr_pool,
            __lockattr_key,
            move |lease| async move {
                if false {
                    return ::lockattr::__private::never::<AppResult>();
                }
                let lease = &lease;
                self.pay(req, lease.fencing_token()).await
            },
        )
        .await
}
