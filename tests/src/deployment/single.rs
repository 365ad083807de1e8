//! One server. Nothing takes its place.

use super::{Deployed, Server};
use crate::RedisServer;
use crate::postgres::PostgresServer;

macro_rules! deployed_alone {
    ($server:ty) => {
        impl Deployed for $server {
            fn url(&self) -> String {
                Self::url(self)
            }

            fn servers(&self) -> Vec<&dyn Server> {
                vec![self]
            }

            fn server_mut(&mut self, _: usize) -> &mut dyn Server {
                self
            }

            fn masters(&self) -> Vec<usize> {
                vec![0]
            }

            fn missing(&self) -> Option<String> {
                (!self.is_up()).then(|| "it is down".to_owned())
            }
        }
    };
}
deployed_alone!(RedisServer);
deployed_alone!(PostgresServer);
