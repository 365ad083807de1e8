async fn charge(order: Order) -> StatusCode {
    let __lockattr_key = crate::lockattr::__private::expression(
        &(order_key(&order)),
        &["order"],
        false,
    );
    crate::lockattr::__private::hold_or(
            const {
                const SPEC: crate::lockattr::__private::Spec = crate::lockattr::__private::Spec::new(
                        ::core::module_path!(),
                        "charge",
                    )
                    .ttl(TTL)
                    .wait_forever()
                    .renew(false);
                &SPEC
            },
            crate::lockattr::__private::installed(),
            __lockattr_key,
            crate::lockattr::__private::handler::<StatusCode, _>(StatusCode::from),
            move |_| async move {
                if false {
                    return crate::lockattr::__private::never::<StatusCode>();
                }
                order.pay().await
            },
        )
        .await
}
