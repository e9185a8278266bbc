//! The reading calls that answer pages of contacts.

use serde_json::{Map, Value, json};

use super::{App, wants_inboxes};
use crate::{
    clock::Timestamp,
    sandbox::{
        answers::{self, Answer},
        call::Call,
        contacts::ContactRecord,
        failure::Failure,
        filter::Filter,
        find::{self, Page, Shown, Sort},
    },
};

impl App {
    fn which(&self) -> Shown {
        if self.options.crm_v2 { Shown::Leads } else { Shown::Resolved }
    }

    pub(super) fn list(&mut self, call: &Call) -> Answer {
        let sort = Sort::read(call.parameter("sort").as_deref());
        let labels = call.parameters("labels[]");
        let page = Page::new(call.parameter("page").as_deref());
        let which = self.which();
        let (count, ids) = if labels.is_empty() {
            let ids = self.lists.ids(&self.contacts, which, sort);
            (ids.len(), page.cut(ids).to_vec())
        } else {
            let labelled = |record: &&ContactRecord| {
                which.shows(record) && labels.iter().any(|label| record.labels.contains(label))
            };
            let ids = find::sorted(self.contacts.in_heap_order().filter(labelled), sort);
            (ids.len(), page.cut(&ids).to_vec())
        };
        self.page_of(&ids, &json!({"count": count, "current_page": page.shown()}), call)
    }

    pub(super) fn active(&self, call: &Call) -> Answer {
        let sort = Sort::read(call.parameter("sort").as_deref());
        let page = Page::new(call.parameter("page").as_deref());
        let ids = find::sorted(self.contacts.in_heap_order().filter(|record| record.online), sort);
        self.page_of(page.cut(&ids), &json!({"count": ids.len(), "current_page": page.shown()}), call)
    }

    pub(super) fn search(&self, call: &Call) -> Result<Answer, Failure> {
        let page = Page::new(call.parameter("page").as_deref());
        let q = call.parameter("q").unwrap_or_default();
        let q = q.trim();
        if q.contains('\0') {
            return Err(Failure::Internal);
        }
        if q.is_empty() {
            let meta = json!({"count": null, "current_page": page.shown(), "has_more": null});
            return Ok(self.page_of(&[], &meta, call));
        }
        let sort = Sort::read(call.parameter("sort").as_deref());
        let counts_pages = self.options.since(4, 11, 0);
        let hits = self.contacts.in_heap_order().filter(|record| find::hits(record, q, !counts_pages));
        let ids = find::sorted(hits, sort);
        if !counts_pages {
            let meta = json!({"count": ids.len(), "current_page": page.shown()});
            return Ok(self.page_of(page.cut(&ids), &meta, call));
        }
        let hits = page.cut_strictly(&ids)?;
        let has_more = hits.last().is_some_and(|last| ids.last() != Some(last));
        let meta = json!({"count": hits.len(), "current_page": page.shown(), "has_more": has_more});
        Ok(self.page_of(hits, &meta, call))
    }

    pub(super) fn filter(&self, call: &Call, params: &Map<String, Value>, now: Timestamp) -> Result<Answer, Failure> {
        let filter = Filter::read(params, &self.options.custom_attribute_keys)?;
        let page = Page::new(call.parameter("page").as_deref());
        let ids = filter.matches(&self.contacts, self.which(), now);
        let sort = Sort::read(call.parameter("sort").as_deref());
        let ids = find::sorted(ids.iter().filter_map(|id| self.contacts.get(*id)), sort);
        Ok(self.page_of(page.cut(&ids), &json!({"count": ids.len(), "current_page": page.shown()}), call))
    }

    fn page_of(&self, ids: &[i64], meta: &Value, call: &Call) -> Answer {
        let records = ids.iter().filter_map(|id| self.contacts.get(*id));
        let payload: Vec<_> =
            records.map(|record| answers::contact(record, &self.options, wants_inboxes(call))).collect();
        Answer::ok(&json!({"meta": meta, "payload": payload}))
    }
}
