//! Signing as a sender would: for the commands `sign` and `send`, the demo and tests. What is signed here is accepted
//! by [`Verifier::verify`](super::Verifier::verify) at the same moment.

use bytes::Bytes;
use thiserror::Error;

use super::{Refusal, Request};
use crate::sources::Headers;

/// A request that is not signed yet.
#[derive(Clone, Debug)]
pub struct Draft(pub Request);

impl Draft {
    /// A POST to `path_query` with one header, the content type.
    pub fn post(path_query: impl Into<String>, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self(Request {
            method: "POST".to_owned(),
            path_query: path_query.into(),
            headers: Headers::new([("content-type".to_owned(), content_type.to_owned())]),
            body: body.into(),
        })
    }
}

/// Why a draft cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CannotSign {
    /// Only the sender has the key.
    #[error("this scheme signs with a private key, which only the sender has; here is only the public one")]
    PrivateKeyNeeded,
    /// The signature or its time stands in the JSON body, and the draft's is none.
    #[error("the signature or its time stands in the JSON body, but this body is not JSON")]
    BodyIsNotJson,
    /// Another value is where an object should be.
    #[error("the body has no room for a value at `{pointer}`")]
    NoRoom {
        /// The JSON pointer.
        pointer: String,
    },
    /// The draft lacks something that the signature covers.
    #[error("the draft lacks what the signature covers: {0}")]
    Incomplete(#[from] Refusal),
}
