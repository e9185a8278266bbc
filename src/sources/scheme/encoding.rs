//! Bytes as text: signatures and secrets, in hexadecimal and base64. Padding of base64 is optional everywhere, because
//! senders disagree about it; stray bits and characters are refused.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::SecretSlice;

use super::spec::{SecretEncoding, TextEncoding};

const PADDING_OPTIONAL: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// The standard alphabet; writes padding, does not insist on it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING_OPTIONAL);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING_OPTIONAL);

/// The longest text of a fixed-length signature: hexadecimal of 64 bytes.
const LONGEST_TEXT: usize = 128;

impl TextEncoding {
    /// Fills `out` with what `text` encodes; false unless it is exactly as many bytes. Does not allocate.
    pub(super) fn decode_exact(self, text: &str, out: &mut [u8]) -> bool {
        if text.len() > LONGEST_TEXT {
            return false;
        }
        match self {
            Self::Hex => hex::decode_to_slice(text, out).is_ok(),
            Self::Base64 => base64_exact(&BASE64, text, out),
            Self::Base64Url => base64_exact(&BASE64_URL, text, out),
        }
    }

    /// The bytes that `text` encodes.
    pub(in crate::sources) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64Url => BASE64_URL.decode(text).ok(),
        }
    }

    /// `bytes` as text: lower case, with padding.
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64Url => BASE64_URL.encode(bytes),
        }
    }
}

fn base64_exact(engine: &GeneralPurpose, text: &str, out: &mut [u8]) -> bool {
    // Decoding wants room for its estimate, which rounds up.
    let mut room = [0; LONGEST_TEXT / 4 * 3];
    match engine.decode_slice(text, &mut room) {
        Ok(length) if length == out.len() => {
            out.copy_from_slice(&room[..length]);
            true
        }
        _ => false,
    }
}

impl SecretEncoding {
    /// The key that the text of a secret stands for.
    ///
    /// # Errors
    /// What was expected instead, without the secret.
    pub(in crate::sources) fn decode(self, text: &str) -> Result<SecretSlice<u8>, &'static str> {
        let key = match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Hex => hex::decode(text).map_err(|_| "is not hexadecimal, as secret_encoding says it is")?,
            Self::Base64 => BASE64.decode(text).map_err(|_| "is not base64, as secret_encoding says it is")?,
            Self::Whsec => BASE64
                .decode(text.strip_prefix("whsec_").unwrap_or(text))
                .map_err(|_| "is not base64 behind an optional `whsec_`, as secret_encoding says it is")?,
        };
        if key.is_empty() { Err("is empty") } else { Ok(key.into()) }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_fixed_length_text_decodes_only_at_its_exact_length() {
        let mut out = [0; 3];
        assert!(TextEncoding::Hex.decode_exact("0aFF10", &mut out));
        assert_eq!(out, [0x0a, 0xff, 0x10]);
        for wrong in ["", "0aff", "0aff1", "0aff1000", "0aff1g", " 0aff1", &"00".repeat(500)] {
            assert!(!TextEncoding::Hex.decode_exact(wrong, &mut out), "{wrong}");
        }
        assert!(TextEncoding::Base64.decode_exact("+/+/", &mut out));
        assert!(!TextEncoding::Base64.decode_exact("-_-_", &mut out));
        assert!(TextEncoding::Base64Url.decode_exact("-_-_", &mut out));
        assert!(!TextEncoding::Base64.decode_exact(&"A".repeat(9000), &mut out));
    }

    #[test]
    fn base64_padding_is_optional_and_stray_bits_are_refused() {
        let mut out = [0; 1];
        assert!(TextEncoding::Base64.decode_exact("AA==", &mut out));
        assert!(TextEncoding::Base64.decode_exact("AA", &mut out));
        assert!(!TextEncoding::Base64.decode_exact("AB", &mut out));
    }

    #[test]
    fn a_secret_that_decodes_to_nothing_is_refused() {
        for encoding in [SecretEncoding::Utf8, SecretEncoding::Hex, SecretEncoding::Base64, SecretEncoding::Whsec] {
            assert!(encoding.decode("").is_err());
        }
        assert!(SecretEncoding::Whsec.decode("whsec_").is_err());
        let key = SecretEncoding::Whsec.decode("whsec_AAEC").expect("base64");
        assert_eq!(key.expose_secret(), [0, 1, 2]);
    }
}
