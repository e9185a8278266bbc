//! Who may use the API of the admin port: whoever sends its token. What a handler needs [`Authorized`] for is answered
//! 401 to everybody else.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::problem::Problem;

/// The token's digest: what is compared has one length, whatever was sent, so that the time taken tells nothing.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret().as_bytes()).into())
    }

    fn is(&self, offered: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered).into();
        self.0.ct_eq(&offered).into()
    }
}

/// Proof that a request carried the token.
pub(super) struct Authorized(());

impl FromRequest for Authorized {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let is_right = |token: &web::Data<Token>| bearer(request).is_some_and(|offered| token.is(offered));
        let allowed = request.app_data::<web::Data<Token>>().is_some_and(is_right);
        ready(if allowed { Ok(Self(())) } else { Err(Problem::UNAUTHORIZED) })
    }
}

fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
