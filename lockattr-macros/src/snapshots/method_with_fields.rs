async fn charge(&self, req: Request) -> AppResult {
    let __lockattr_arguments = ::lockattr::__private::Box::new((req,));
    let __lockattr_body = async move {
        if false {
            return ::lockattr::__private::never::<AppResult>();
        }
        let (__lockattr_1,) = *__lockattr_arguments;
        let req = __lockattr_1;
        let __lockattr_pool = ::lockattr::__private::given(&self.locks);
        let __lockattr_key = {
            let __lockattr_values = ::lockattr::__private::Values::new("-");
            ::lockattr::__private::key(
                &__lockattr_values,
                ::lockattr::__private::format_args!(
                    "{__lockattr_0}-{__lockattr_1:04}", __lockattr_0 = __lockattr_values
                    .value(& self.tenant), __lockattr_1 = __lockattr_values.value(& req
                    .user.id)
                ),
            )
        };
        let __lockattr_lease = ::lockattr::__private::enter(
                __lockattr_pool,
                __lockattr_key,
            )
            .await;
        let lease = &__lockattr_lease;
        match () {
            () => self.pay(req, lease.fencing_token()).await,
        }
    };
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&::lockattr::__private::Output::of(&__lockattr_body)).ending()
    };
    ::lockattr::__private::locked(
            const {
                &::lockattr::__private::Spec::new(::core::module_path!(), "charge")
            },
            __lockattr_ending,
            ::lockattr::__private::refused::<AppResult>,
            __lockattr_body,
        )
        .await
}
