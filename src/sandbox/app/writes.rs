//! The writing calls: create, update, delete. Each is one transaction: refused, it has changed nothing.

use serde_json::{Map, Value};

use super::{App, Bend};
use crate::{
    clock::Timestamp,
    sandbox::{
        answers::{self, Answer},
        avatar,
        call::Call,
        contacts::{ContactInbox, ContactRecord, MAX_CONTACTS},
        failure::Failure,
        links,
        rules::{self, Additional, Change},
        typing::{self, Cast},
    },
};

impl App {
    pub(super) fn create(&mut self, params: &Map<String, Value>, now: Timestamp) -> Result<Answer, Failure> {
        if self.contacts.len() >= MAX_CONTACTS {
            return Err(Failure::Internal);
        }
        let change = Change::read(params)?;
        let id = self.contacts.take_id();
        let blank = ContactRecord::new(id, Timestamp::from_secs(now.as_secs()));
        let mut record = rules::save_change(&mut self.contacts, blank, &change, Additional::Merged)?;
        // One transaction: a link that cannot be made takes the contact with it.
        let link = self.link(&record, params).inspect_err(|_| {
            self.contacts.remove(id);
        });
        let link = link?;
        record.contact_inboxes.extend(link.clone());
        self.contacts.put(record.clone());
        let body = answers::created(&record, link.as_ref(), &self.options);
        self.fetch_avatar(id, &change, now);
        Ok(Answer::ok(&body))
    }

    fn link(&mut self, record: &ContactRecord, params: &Map<String, Value>) -> Result<Option<ContactInbox>, Failure> {
        let inbox_id = match typing::text(params.get("inbox_id")) {
            Cast::To(text) if !typing::is_blank(&text) => typing::leading_integer(&text),
            _ => return Ok(None),
        };
        let inbox = inbox_id.and_then(|id| self.options.inbox(id)).cloned().ok_or(Failure::NotFound)?;
        let source_id = match typing::text(params.get("source_id")) {
            Cast::To(text) if !typing::is_blank(&text) => Some(text),
            _ => None,
        };
        let fresh = self.next_uuid();
        links::build(&mut self.contacts, record, &inbox, source_id, || fresh).map(Some)
    }

    pub(super) fn update(
        &mut self,
        id: i64,
        call: &Call,
        params: &Map<String, Value>,
        bend: &Bend,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        let record = self.contact(id)?.clone();
        let change = Change::read(params)?;
        let additional = if self.options.since(4, 2, 0) { Additional::Merged } else { Additional::Replaced };
        let record = rules::save_change(&mut self.contacts, record, &change, additional)?;
        let answer = if *bend == Bend::VendorShape {
            Answer::ok(&answers::vendor_updated(&record, &self.options))
        } else {
            self.shown(&record, call)
        };
        self.fetch_avatar(id, &change, now);
        Ok(answer)
    }

    /// The job runs after the answer is made, so the answer does not show its traces.
    fn fetch_avatar(&mut self, id: i64, change: &Change, now: Timestamp) {
        if let (Some(url), Some(record)) = (change.avatar_url(), self.contacts.get(id)) {
            let mut record = record.clone();
            avatar::fetch(&mut record, url, now);
            self.contacts.put(record);
        }
    }

    pub(super) fn delete(&mut self, id: i64) -> Result<Answer, Failure> {
        let record = self.contact(id)?;
        if record.online {
            let name = record.name.as_deref().unwrap_or_default();
            return Err(Failure::Busy(format!("{name} is Online, please try again later")));
        }
        self.contacts.remove(id);
        Ok(Answer::empty())
    }

    pub(super) fn destroy_attributes(
        &mut self,
        id: i64,
        call: &Call,
        params: &Map<String, Value>,
    ) -> Result<Answer, Failure> {
        let mut record = self.contact(id)?.clone();
        let keys = params.get("custom_attributes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for key in keys.iter().filter_map(Value::as_str) {
            record.custom_attributes.remove(key);
        }
        let record = rules::save(&mut self.contacts, record)?;
        Ok(self.shown(&record, call))
    }
}

/// Takes fields out of a body: `name`, or one attribute as `custom_attributes.plan`.
pub(super) fn ignore_fields(params: &mut Map<String, Value>, bend: &Bend) {
    let Bend::IgnoredFields(fields) = bend else { return };
    for field in fields {
        match field.split_once('.') {
            None => {
                params.remove(field);
            }
            Some((outer, inner)) => {
                if let Some(Value::Object(attributes)) = params.get_mut(outer) {
                    attributes.remove(inner);
                }
            }
        }
    }
}
