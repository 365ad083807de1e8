//! It keeps what every backend must keep.

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr_tests::{Etcd, EtcdVersion};

use super::builder;

pub(super) async fn conforms(etcd: &Etcd) -> Result<(), Violations> {
    let checks = Conformance::of(builder(etcd.url()));
    checks.ttl(Duration::from_secs(1)).check().await
}

#[tokio::test]
async fn one_member_conforms() -> Result<(), Violations> {
    conforms(&Etcd::start(1)).await
}

#[tokio::test]
async fn three_members_conform() -> Result<(), Violations> {
    conforms(&Etcd::start(3)).await
}

#[tokio::test]
async fn the_older_version_conforms() -> Result<(), Violations> {
    conforms(&Etcd::start_with(EtcdVersion::V34, 1, &[], None)).await
}
