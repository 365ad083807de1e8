//! The parts that transactions are made of.

use crate::failure::{self, Problem};
use crate::names::Folder;
use crate::rpc::{
    ASCENDING, BY_CREATION, Compare, DESCENDING, DeleteRequest, KeyValue, PutRequest, RangeRequest,
    RangeResponse, Request, RequestOp, Response, ResponseOp, TxnRequest, TxnResponse,
};

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

/// There is no such name.
pub(crate) fn is_absent(name: &[u8]) -> Compare {
    was_created_at(name, 0)
}

/// This name has been there since that revision.
pub(crate) fn was_created_at(name: &[u8], revision: i64) -> Compare {
    Compare {
        target: 1,
        key: name.to_vec(),
        create_revision: Some(revision),
        ..Compare::default()
    }
}

/// This name was last written at that revision.
pub(crate) fn was_written_at(name: &[u8], revision: i64) -> Compare {
    Compare {
        target: 2,
        key: name.to_vec(),
        mod_revision: Some(revision),
        ..Compare::default()
    }
}

/// No owner has the key or waits for it.
pub(crate) fn is_empty(folder: &Folder) -> Compare {
    Compare {
        range_end: folder.end(),
        ..is_absent(&folder.start())
    }
}

pub(crate) fn put(name: &[u8], value: &[u8], lease: i64) -> RequestOp {
    op(Request::Put(PutRequest {
        key: name.to_vec(),
        value: value.to_vec(),
        lease,
        ignore_value: false,
    }))
}

/// Binds the name to another lease. It must be there.
pub(crate) fn bind(name: &[u8], lease: i64) -> RequestOp {
    op(Request::Put(PutRequest {
        key: name.to_vec(),
        value: Vec::new(),
        lease,
        ignore_value: true,
    }))
}

pub(crate) fn delete(name: &[u8]) -> RequestOp {
    op(Request::Delete(DeleteRequest { key: name.to_vec() }))
}

pub(crate) fn either(txn: TxnRequest) -> RequestOp {
    op(Request::Txn(txn))
}

pub(crate) fn range(range: RangeRequest) -> RequestOp {
    op(Request::Range(range))
}

/// The one with this name.
pub(crate) fn named(name: &[u8]) -> RequestOp {
    range(RangeRequest {
        key: name.to_vec(),
        keys_only: true,
        ..RangeRequest::default()
    })
}

pub(crate) fn all(folder: &Folder) -> RangeRequest {
    RangeRequest {
        key: folder.start(),
        range_end: folder.end(),
        ..RangeRequest::default()
    }
}

pub(crate) fn oldest(folder: &Folder) -> RequestOp {
    range(RangeRequest {
        limit: 1,
        sort_order: ASCENDING,
        sort_target: BY_CREATION,
        ..all(folder)
    })
}

/// The newest two.
pub(crate) fn newest(folder: &Folder) -> RequestOp {
    range(RangeRequest {
        limit: 2,
        keys_only: true,
        sort_order: DESCENDING,
        sort_target: BY_CREATION,
        ..all(folder)
    })
}

/// The newest of those that were there before this revision.
pub(crate) fn before(folder: &Folder, revision: i64) -> RequestOp {
    range(RangeRequest {
        limit: 1,
        keys_only: true,
        sort_order: DESCENDING,
        sort_target: BY_CREATION,
        max_create_revision: revision - 1,
        ..all(folder)
    })
}

pub(crate) fn count(folder: &Folder) -> RequestOp {
    range(RangeRequest {
        count_only: true,
        ..all(folder)
    })
}

/// Several questions, answered at one revision.
pub(crate) fn look(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        success,
        ..TxnRequest::default()
    }
}

/// The answers to the operations of a transaction, in their order.
pub(crate) struct Answers {
    pub(crate) succeeded: bool,
    pub(crate) revision: i64,
    responses: std::vec::IntoIter<ResponseOp>,
}

impl Answers {
    /// # Errors
    ///
    /// If it is no answer: without its revision, nothing that is granted has a token.
    pub(crate) fn of(answer: TxnResponse) -> Result<Self, Problem> {
        let header = answer.header.clone();
        let header = header.ok_or_else(|| failure::malformed("a transaction has no revision"))?;
        Ok(Self::at(header.revision, answer))
    }

    fn at(revision: i64, answer: TxnResponse) -> Self {
        Self {
            succeeded: answer.succeeded,
            revision,
            responses: answer.responses.into_iter(),
        }
    }

    fn next(&mut self) -> Result<Response, Problem> {
        let next = self.responses.next().and_then(|it| it.response);
        next.ok_or_else(|| failure::malformed("an operation of a transaction has none"))
    }

    pub(crate) fn skip(&mut self) -> Result<(), Problem> {
        self.next().map(drop)
    }

    pub(crate) fn range(&mut self) -> Result<RangeResponse, Problem> {
        match self.next()? {
            Response::Range(found) => Ok(found),
            _ => Err(failure::malformed("it is no range")),
        }
    }

    /// The first of a range.
    pub(crate) fn first(&mut self) -> Result<Option<KeyValue>, Problem> {
        Ok(self.range()?.kvs.into_iter().next())
    }

    pub(crate) fn txn(&mut self) -> Result<Self, Problem> {
        match self.next()? {
            Response::Txn(answer) => Ok(Self::at(self.revision, answer)),
            _ => Err(failure::malformed("it is no transaction")),
        }
    }
}
