//! Why a request is not believed. For our own logs, counters and the table `rejections`: the sender sees the same
//! answer for every reason. No variant carries anything an unverified sender wrote; names come from the configuration.

use thiserror::Error;

/// The precise reason why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The place of the signature is empty, or lists none of the kind that counts.
    #[error("there is no signature where this source's signature should be")]
    MissingSignature,
    /// The configured prefix is not in front of the signature.
    #[error("the signature does not begin with the configured prefix")]
    MissingPrefix,
    /// The place of the signed time is empty.
    #[error("there is no timestamp where this source's timestamp should be")]
    MissingTimestamp,
    /// Standard Webhooks: the id header is absent or empty.
    #[error("the header with the webhook's id is missing")]
    MissingId,
    /// A header the signature covers is absent.
    #[error("the signed header `{header}` is missing")]
    MissingHeader {
        /// Its name, in lower case.
        header: String,
    },
    /// A field of the JSON body that is needed is absent.
    #[error("the body has no field at `{pointer}`")]
    MissingField {
        /// Its JSON pointer.
        pointer: String,
    },
    /// No token where the configuration expects it.
    #[error("there is no token where this source's token should be")]
    MissingToken,
    /// No `Authorization: Basic` header.
    #[error("there are no Basic credentials")]
    MissingCredentials,
    /// The query lacks the digest of the body.
    #[error("the query has no digest of the body")]
    MissingBodyDigest,
    /// The signature is not in the configured encoding, or not as long as its algorithm's are.
    #[error("the signature is not in the configured encoding, or has the wrong length")]
    MalformedSignature,
    /// The timestamp is not written in the configured unit.
    #[error("the timestamp is not written in the configured unit")]
    MalformedTimestamp,
    /// Standard Webhooks: the id contains a dot, which makes the signed text ambiguous.
    #[error("the webhook's id contains a dot")]
    MalformedId,
    /// The Basic credentials are not base64 of `user:password`.
    #[error("the Basic credentials cannot be read")]
    MalformedCredentials,
    /// The body is not JSON, though the scheme needs a field of it.
    #[error("the body is not JSON, and the signature needs a field of it")]
    MalformedJson,
    /// A needed field is neither a text nor a whole number, or is too long.
    #[error("the field at `{pointer}` is neither a short text nor a whole number")]
    MalformedField {
        /// Its JSON pointer.
        pointer: String,
    },
    /// A needed field is in the body more than once.
    #[error("the field at `{pointer}` is in the body more than once")]
    AmbiguousField {
        /// Its JSON pointer.
        pointer: String,
    },
    /// The digest in the query is not in its encoding.
    #[error("the digest of the body in the query cannot be read")]
    MalformedBodyDigest,
    /// The body is not a JSON Web Token.
    #[error("the body is not a JSON Web Token")]
    MalformedJwt,
    /// The token was not made with RS256, or demands an extension.
    #[error("the JSON Web Token is not a plain RS256 one")]
    WrongJwtAlgorithm,
    /// The signature covers form fields, and the body is declared as something else.
    #[error("the signature covers form fields, but the content type is no form")]
    NotAForm,
    /// The form has more fields than a sender ever needs.
    #[error("the form has too many fields")]
    TooManyFields,
    /// More signatures than are tried.
    #[error("the request lists too many signatures")]
    TooManySignatures,
    /// A header that is needed for the check is too long.
    #[error("the header `{header}` is too long")]
    HeaderTooLong {
        /// Its name, in lower case.
        header: String,
    },
    /// A header was sent more than once with different values.
    #[error("the header `{header}` was sent more than once with different values")]
    ContradictingHeaders {
        /// Its name, in lower case.
        header: String,
    },
    /// The signature header names more than one time.
    #[error("the signature header names different timestamps")]
    ContradictingTimestamps,
    /// A query parameter was sent more than once with different values.
    #[error("the query parameter `{parameter}` was sent more than once with different values")]
    ContradictingParameters {
        /// Its name.
        parameter: String,
    },
    /// No signature fits any secret or key.
    #[error("no signature fits any of this source's secrets or keys")]
    WrongSignature,
    /// The only secret that fits is past its `not_after`.
    #[error("the secret that fits is past its not_after")]
    SecretExpired,
    /// Properly signed, but longer ago than the tolerance allows.
    #[error("the signature is right, but older than the tolerance allows")]
    Stale,
    /// Properly signed, but for a time further ahead than the tolerance allows.
    #[error("the signature is right, but its time is further ahead than the tolerance allows")]
    FromTheFuture,
    /// The token is none of the secrets.
    #[error("the token is none of this source's secrets")]
    WrongToken,
    /// User name or password are wrong.
    #[error("the user name or the password is wrong")]
    WrongCredentials,
    /// The digest in the query is not the body's.
    #[error("the digest in the query is not the body's")]
    WrongBodyDigest,
    /// The signature covers the URL, and `server.public_url` is not configured.
    #[error("the signature covers the URL, and server.public_url is not set")]
    PublicUrlUnknown,
}

impl Refusal {
    /// A stable word for logs, metrics and the table `rejections`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingSignature => "missing_signature",
            Self::MissingPrefix => "missing_prefix",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MissingId => "missing_id",
            Self::MissingHeader { .. } => "missing_header",
            Self::MissingField { .. } => "missing_field",
            Self::MissingToken => "missing_token",
            Self::MissingCredentials => "missing_credentials",
            Self::MissingBodyDigest => "missing_body_digest",
            Self::MalformedSignature => "malformed_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::MalformedId => "malformed_id",
            Self::MalformedCredentials => "malformed_credentials",
            Self::MalformedJson => "malformed_json",
            Self::MalformedField { .. } => "malformed_field",
            Self::AmbiguousField { .. } => "ambiguous_field",
            Self::MalformedBodyDigest => "malformed_body_digest",
            Self::MalformedJwt => "malformed_jwt",
            Self::WrongJwtAlgorithm => "wrong_jwt_algorithm",
            Self::NotAForm => "not_a_form",
            Self::TooManyFields => "too_many_fields",
            Self::TooManySignatures => "too_many_signatures",
            Self::HeaderTooLong { .. } => "header_too_long",
            Self::ContradictingHeaders { .. } => "contradicting_headers",
            Self::ContradictingTimestamps => "contradicting_timestamps",
            Self::ContradictingParameters { .. } => "contradicting_parameters",
            Self::WrongSignature => "wrong_signature",
            Self::SecretExpired => "secret_expired",
            Self::Stale => "stale",
            Self::FromTheFuture => "from_the_future",
            Self::WrongToken => "wrong_token",
            Self::WrongCredentials => "wrong_credentials",
            Self::WrongBodyDigest => "wrong_body_digest",
            Self::PublicUrlUnknown => "public_url_unknown",
        }
    }
}
