//! The background job that fetches a contact's picture: here it fetches nothing, but leaves the traces of the real one
//! in `additional_attributes`, at once after the save.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::contacts::ContactRecord;
use crate::clock::Timestamp;

/// An attempt less than this after the last one is skipped.
const PAUSE: Duration = Duration::from_mins(1);

/// Runs the job for `url`. A skipped attempt also records its URL and time: that URL is remembered as done.
pub(super) fn fetch(record: &mut ContactRecord, url: &str, now: Timestamp) {
    let hash = hex::encode(Sha256::digest(url.as_bytes()));
    let attributes = &mut record.additional_attributes;
    let last_attempt = attributes.get("last_avatar_sync_at").and_then(Value::as_str).and_then(Timestamp::parse_rfc3339);
    let too_soon = last_attempt.is_some_and(|last| now.since(last) < PAUSE);
    let same = attributes.get("avatar_url_hash").and_then(Value::as_str) == Some(&hash);
    attributes.insert("avatar_url_hash".to_owned(), Value::from(hash));
    attributes.insert("last_avatar_sync_at".to_owned(), Value::from(iso_seconds(now)));
    if !too_soon && !same {
        record.avatar_url = Some(url.to_owned());
    }
}

/// `2026-06-17T10:00:00Z`: the server writes no fraction here.
fn iso_seconds(moment: Timestamp) -> String {
    let text = Timestamp::from_secs(moment.as_secs()).to_string();
    text.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_url_within_the_minute_is_skipped_and_remembered_as_done() {
        let mut record = ContactRecord::new(1, Timestamp::from_secs(0));
        let start = Timestamp::from_secs(1_750_000_000);
        fetch(&mut record, "https://a.example/1.png", start);
        assert_eq!(record.additional_attributes["last_avatar_sync_at"], "2025-06-15T15:06:40Z");
        fetch(&mut record, "https://a.example/2.png", start + Duration::from_secs(59));
        assert_eq!(record.avatar_url.as_deref(), Some("https://a.example/1.png"));
        fetch(&mut record, "https://a.example/2.png", start + Duration::from_mins(5));
        assert_eq!(record.avatar_url.as_deref(), Some("https://a.example/1.png"), "its hash is the last one");
        fetch(&mut record, "https://a.example/3.png", start + Duration::from_mins(10));
        assert_eq!(record.avatar_url.as_deref(), Some("https://a.example/3.png"));
    }
}
