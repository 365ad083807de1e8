#[cfg(not(any(clippy, doc)))]
fn charge(order: Order) -> impl crate::lockattr::__private::Future<Output = StatusCode> {
    let (__lockattr_output, __lockattr_body) = crate::lockattr::__private::Output::of(async move {
        if false {
            return crate::lockattr::__private::never::<StatusCode>();
        }
        let order = order;
        let __lockattr_key = crate::lockattr::__private::expression(
            &(order_key(&order)),
            &["order"],
            false,
        );
        crate::lockattr::__private::enter(
                crate::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        match () {
            () => order.pay().await,
        }
    });
    let __lockattr_ending = {
        use crate::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&__lockattr_output).ending()
    };
    crate::lockattr::__private::locked(
        const {
            const SPEC: crate::lockattr::__private::Spec = crate::lockattr::__private::Spec::new(
                    ::core::concat!(::core::module_path!(), "::charge"),
                    "",
                )
                .ttl(TTL)
                .wait_forever()
                .renew(false)
                .checked();
            &SPEC
        },
        __lockattr_ending,
        crate::lockattr::__private::handler::<StatusCode, _>(StatusCode::from),
        __lockattr_body,
    )
}
#[cfg(any(clippy, doc))]
async fn charge(order: Order) -> StatusCode {
    if false {
        let __lockattr_key = crate::lockattr::__private::expression(
            &(order_key(&order)),
            &["order"],
            false,
        );
        crate::lockattr::__private::enter(
                crate::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        return (crate::lockattr::__private::handler::<
            StatusCode,
            _,
        >(StatusCode::from))(crate::lockattr::__private::never());
    }
    { order.pay().await }
}
