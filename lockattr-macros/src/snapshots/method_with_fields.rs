#[cfg(not(any(clippy, doc)))]
fn charge(
    &self,
    req: Request,
) -> impl ::lockattr::__private::Future<Output = AppResult> {
    let (__lockattr_output, __lockattr_body) = ::lockattr::__private::Output::of(async move {
        if false {
            return ::lockattr::__private::never::<AppResult>();
        }
        let req = req;
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
    });
    let __lockattr_ending = {
        use ::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    ::lockattr::__private::locked(
        const {
            &::lockattr::__private::Spec::new(
                ::core::concat!(::core::module_path!(), "::charge"),
                "{self.tenant}-{req.user.id:04}",
            )
        },
        __lockattr_ending,
        |__lockattr_error| ::lockattr::__private::refused::<AppResult>(__lockattr_error),
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
async fn charge(&self, req: Request) -> AppResult {
    if false {
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
        ::lockattr::__private::enter(__lockattr_pool, __lockattr_key).await;
        return (::lockattr::__private::refused)(::lockattr::__private::never());
    }
    let lease = ::lockattr::__private::never::<&::lockattr::Lease>();
    { self.pay(req, lease.fencing_token()).await }
}
