async fn charge(order: Order) -> StatusCode {
    let __lockattr_arguments = crate::lockattr::__private::Box::new((order,));
    let __lockattr_body = async move {
        if false {
            return crate::lockattr::__private::never::<StatusCode>();
        }
        let (__lockattr_0,) = *__lockattr_arguments;
        let order = __lockattr_0;
        let __lockattr_key = crate::lockattr::__private::display(&order_key(&order));
        crate::lockattr::__private::enter(
                crate::lockattr::__private::installed(),
                __lockattr_key,
            )
            .await;
        match () {
            () => order.pay().await,
        }
    };
    let __lockattr_ending = {
        use crate::lockattr::__private::{AnyOutput as _, SendOutput as _};
        (&crate::lockattr::__private::Output::of(&__lockattr_body)).ending()
    };
    crate::lockattr::__private::locked(
            const {
                &crate::lockattr::__private::Spec::new(::core::module_path!(), "charge")
                    .ttl(TTL)
                    .wait_forever()
                    .renew(false)
            },
            __lockattr_ending,
            crate::lockattr::__private::handler::<StatusCode, _>(StatusCode::from),
            __lockattr_body,
        )
        .await
}
