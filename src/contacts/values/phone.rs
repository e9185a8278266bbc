//! Phone numbers in E.164, read as libphonenumber reads them.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber as ParsedNumber, PhoneNumberFormat, Region as RegionCode};

use super::{Unusable, redacted_debug};

/// libphonenumber's own limit, in bytes; the work grows with the length.
const MAX_BYTES: usize = 250;

/// The country that a number without a country code belongs to: an ISO 3166 code of two letters that has phone
/// numbers, such as `IL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(RegionCode);

impl Region {
    /// Reads a code, in either case.
    ///
    /// # Errors
    /// [`Unusable::NotARegion`] when it is none.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let code = text.trim().to_ascii_uppercase();
        if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Unusable::NotARegion);
        }
        let region = code.parse().map_err(|_| Unusable::NotARegion)?;
        // `ZZ` and other codes of no country are regions too, without a country calling code.
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region)).ok_or(Unusable::NotARegion)
    }
}

/// A valid phone number in E.164: `+`, then up to 15 digits of which the first is not 0. Extensions are left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

redacted_debug!(PhoneNumber);

impl PhoneNumber {
    /// Reads a number as people write it. A number without a country code is read in `region`.
    ///
    /// # Errors
    /// When it is blank, longer than 250 bytes, no valid number, or a national one and no region is known.
    pub fn parse(text: &str, region: Option<Region>) -> Result<Self, Unusable> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Unusable::Blank);
        }
        if text.len() > MAX_BYTES {
            return Err(Unusable::TooLong { limit: MAX_BYTES, unit: "bytes" });
        }
        // `00` is the exit code of most of the world, though not of the number's own region (the United States dial
        // 011): people type it anyway.
        if let Some(number) = text.strip_prefix("00")
            && let Some(number) = e164(&format!("+{number}"), None)
        {
            return Ok(Self(number));
        }
        match e164(text, region) {
            Some(number) => Ok(Self(number)),
            None if region.is_none() && !text.contains('+') => Err(Unusable::NoCountryCode),
            None => Err(Unusable::NotAPhoneNumber),
        }
    }

    /// Loads the numbering plans, which otherwise costs the first number some 5 to 35 ms.
    pub fn warm_up() {
        let _ = e164("+972502345678", None);
    }

    /// The number's text, such as `+972502345678`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn e164(text: &str, region: Option<Region>) -> Option<String> {
    let number = ParsedNumber::parse(text, region.map(|Region(code)| code)).ok()?;
    if !number.is_valid() {
        return None;
    }
    let number = number.format_as(PhoneNumberFormat::E164).into_owned();
    is_e164(&number).then_some(number)
}

/// Chatwoot's own rule, `\+[1-9]\d{1,14}`, over the whole text.
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (region, as written, E.164). A metadata update that changes one of these shows here.
    const GOLDEN: &[(&str, &str, Option<&str>)] = &[
        ("IL", "050-234-5678", Some("+972502345678")),
        ("IL", "0502345678", Some("+972502345678")),
        ("IL", "972502345678", Some("+972502345678")),
        ("IL", "+972-50-234-5678", Some("+972502345678")),
        ("IL", "+972 (0)50 234 5678", Some("+972502345678")),
        ("IL", "00972502345678", Some("+972502345678")),
        ("IL", "03-5225678", Some("+97235225678")),
        ("IL", "050-2345678 ext. 12", Some("+972502345678")),
        ("IL", "\u{200e}+972 50-234-5678\u{202c}", Some("+972502345678")),
        ("IL", "٠٥٠٢٣٤٥٦٧٨", Some("+972502345678")),
        ("US", "(212) 555-0142", Some("+12125550142")),
        ("US", "1-800-356-9377", Some("+18003569377")),
        ("US", "011 44 20 7946 0018", Some("+442079460018")),
        ("US", "00442079460018", Some("+442079460018")),
        // The trunk prefix of the default region must not be taken off a number of another country.
        ("US", "+3531850123457", Some("+3531850123457")),
        ("US", "+861012345715", Some("+861012345715")),
        ("GB", "020 7946 0018", Some("+442079460018")),
        ("DE", "+49 (0)30 901820", Some("+4930901820")),
        ("FR", "06 12 34 56 78", Some("+33612345678")),
        ("IT", "06 698 12345", Some("+390669812345")),
        ("", "+972502345678", Some("+972502345678")),
        ("", "00972502345678", Some("+972502345678")),
        ("", "0502345678", None),
        ("IL", "12345", None),
        ("IL", "+1 555", None),
        ("IL", "n/a", None),
        ("IL", "0000000000", None),
        ("IL", "+0502345678", None),
        ("IL", "++--", None),
    ];

    #[test]
    fn numbers_are_read_as_the_golden_table_says() {
        for (region, text, expected) in GOLDEN {
            let region = (!region.is_empty()).then(|| Region::parse(region).unwrap());
            let number = PhoneNumber::parse(text, region).ok();
            assert_eq!(number.as_ref().map(PhoneNumber::as_str), *expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_whether_a_region_would_have_helped() {
        assert_eq!(PhoneNumber::parse("0502345678", None), Err(Unusable::NoCountryCode));
        assert_eq!(PhoneNumber::parse("+972", None), Err(Unusable::NotAPhoneNumber));
        assert_eq!(PhoneNumber::parse(" ", None), Err(Unusable::Blank));
        assert_eq!(PhoneNumber::parse(&"1".repeat(251), None).unwrap_err().code(), "too_long");
    }

    #[test]
    fn a_region_is_a_country_that_has_phone_numbers() {
        assert_eq!(Region::parse(" il "), Region::parse("IL"));
        for wrong in ["", "I", "ISR", "ZZ", "XX", "99", "é"] {
            assert_eq!(Region::parse(wrong), Err(Unusable::NotARegion), "{wrong}");
        }
    }
}
