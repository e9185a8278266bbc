//! Creating a contact. It is not safe to repeat, so it always follows a look-up, and after an unclear failure the next
//! turn begins with one. A value that another contact has never yields a stripped second contact.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{
    Turn, answered,
    update::{held_by, refused},
};
use crate::{
    chatwoot::{Call, Condition, Contact, Failure, not_taken},
    contacts::{ContactId, Field, fields_to_json},
    delivery::{
        matching::{Choice, Wanted, choose, conditions},
        settling::{self, Sent},
    },
    merge::{self, Known, Plan, Winner},
    store::{
        AttemptEnd, FieldOutcome, Link, LinkOrigin, NewConflict, NextTurn, ParkedValue, RowState, Settlement,
        StoreError, Verdict,
    },
};

/// How long a lane waits for another one that creates a contact with the same identifier, address or number.
const AFTER_ANOTHER_CREATION: Duration = Duration::from_secs(1);

/// Values that turned out to be no valid ones, though nobody else has them.
type Invalid = [Field];

impl Turn<'_> {
    /// Creates the contact with everything that waits for it, but the fields that are known to be invalid.
    pub(super) async fn create(mut self, ended: Option<AttemptEnd>, invalid: &Invalid) -> Result<(), StoreError> {
        let mut plan = self.plan_of_new();
        if self.account.settings.dry_run {
            let sent: Sent = plan.send.keys().map(|field| (field.clone(), FieldOutcome::DryRun)).collect();
            let mut rows = settling::results(&self.lane.rows, &plan, &sent, &("parked", String::new()));
            for row in &mut rows {
                row.reason = Some(("dry_run", "dry_run is on: the contact was not created".to_owned()));
                row.state = RowState::Unchanged;
            }
            return self.settle(Settlement { rows, ..self.settlement(ended, None) }).await;
        }
        let account = self.account;
        let Some(claim) = account.claim(self.known_by()) else {
            // The other lane's contact is found by the next turn's look-up.
            let rows = settling::all(&self.lane.rows, RowState::Pending, None);
            let next = NextTurn::Later(self.now() + AFTER_ANOTHER_CREATION);
            return self.settle(Settlement { rows, next, ..self.settlement(ended, None) }).await;
        };
        let path = self.account.contacts_path.to_string();
        if let Some(ended) = ended
            && !self.begin(ended, "POST", path, None).await?
        {
            return Ok(());
        }
        let mut parked = Vec::new();
        for field in invalid {
            parked.extend(plan.park(field).map(|winner| (field.clone(), winner)));
        }
        let sending = plan.sending();
        let mut body = fields_to_json(&sending);
        let identifier = self.wanted().identifiers.into_iter().next();
        if let Some(identifier) = &identifier {
            body.insert("identifier".to_owned(), json!(identifier));
        }
        if let Some(inbox_id) = self.account.settings.inbox_id {
            body.insert("inbox_id".to_owned(), json!(inbox_id));
        }
        self.account.count_call(self.now());
        let call = self.account.client.create(&body).await;
        drop(claim);
        match &call.answer {
            Ok(contact) => {
                self.account.succeeded(self.lane.lease.lane, self.now());
                self.created(&call, contact, &plan, parked).await
            }
            Err(Failure::Invalid { attributes, .. }) => {
                let ended = settling::ended_writing(&call, self.now(), None, Verdict::Conflict, &sending);
                let attributes = attributes.clone();
                self.refused_creation(ended, &plan, &attributes, invalid).await
            }
            // The account has just answered a look-up, so it is the configured inbox that is not there. That concerns new
            // contacts only: their lanes back off, and the account goes on.
            Err(Failure::NotFound) if self.account.settings.inbox_id.is_some() => {
                self.fail(&call, &Failure::ServerError { status: 404 }, None, Some(&sending)).await
            }
            Err(failure) => self.fail(&call, failure, None, Some(&sending)).await,
        }
    }

    /// What the contact will be known by, so that no other lane creates the same one meanwhile.
    fn known_by(&self) -> BTreeSet<String> {
        let wanted = self.wanted();
        let Wanted { identifiers, email, phone_number } = wanted;
        let identifiers = identifiers.into_iter().map(|identifier| format!("identifier:{identifier}"));
        let email = email.map(|email| format!("email:{email}"));
        identifiers.chain(email).chain(phone_number.map(|phone| format!("phone:{phone}"))).collect()
    }

    /// A new contact has nothing yet: whatever the policies say, the winners are written.
    fn plan_of_new(&self) -> Plan {
        let rows: Vec<merge::Row> = self.lane.rows.iter().map(|row| row.row.clone()).collect();
        let mut plan = merge::plan(&rows, &Known::default());
        plan.send.extend(std::mem::take(&mut plan.ask));
        plan
    }

    async fn created(
        &self,
        call: &Call<Contact>,
        contact: &Contact,
        plan: &Plan,
        parked: Vec<(Field, Winner)>,
    ) -> Result<(), StoreError> {
        let sending = plan.sending();
        let ignored = not_taken(&sending, contact);
        let sent: Sent = sending
            .keys()
            .map(|field| {
                let taken = !ignored.contains(field);
                (field.clone(), if taken { FieldOutcome::Delivered } else { FieldOutcome::NotTaken })
            })
            .collect();
        let mut ended = settling::ended_writing(call, self.now(), Some(contact.id), Verdict::Delivered, &sending);
        ended.not_taken = ignored;
        let key = self.keys().into_iter().next().unwrap_or_else(|| self.lane.key.clone());
        let conflicts: Vec<NewConflict> = parked
            .into_iter()
            .map(|(field, winner)| NewConflict {
                key: key.clone(),
                contact_id: Some(contact.id),
                theirs: serde_json::Value::Null,
                holder: None,
                code: "refused",
                reason: format!("Chatwoot refuses this {field}; the contact was created without it"),
                row: winner.precedence.row,
                parked: Some(ParkedValue { field, value: winner.value }),
            })
            .collect();
        let reason = conflicts.first().map_or(("parked", String::new()), |one| (one.code, one.reason.clone()));
        let mut rows = settling::results(&self.lane.rows, plan, &sent, &reason);
        // Creating a contact is a delivery, even of an update that has nothing but its key.
        for row in rows.iter_mut().filter(|row| row.state == RowState::Unchanged) {
            row.state = RowState::Delivered;
        }
        tracing::debug!(lane.id = self.lane.lease.lane, contact.id = contact.id, "contact created");
        let settlement = Settlement {
            rows,
            written: Self::written(plan, |field| sent.get(field) == Some(&FieldOutcome::Delivered)),
            link: Some(Link { key, contact_id: contact.id, origin: LinkOrigin::Created }),
            gone: self.lane.contact_id,
            conflicts,
            ..self.settlement(Some(ended), Some(contact.id))
        };
        self.settle(settlement).await
    }

    /// 422: somebody has a value already, perhaps the very contact that is meant and that appeared since the look-up;
    /// or a value is invalid.
    async fn refused_creation(
        mut self,
        ended: AttemptEnd,
        plan: &Plan,
        attributes: &[String],
        known_invalid: &Invalid,
    ) -> Result<(), StoreError> {
        let sending = plan.sending();
        let refused = refused(&sending, true, attributes);
        let wanted = self.wanted();
        let match_by = &self.account.settings.match_by;
        let mut looked_for: Vec<Condition> = conditions(match_by, &wanted);
        for field in &refused.fields {
            let condition = plan.send.get(field).and_then(|winner| held_by(field, winner));
            looked_for.extend(condition.filter(|condition| !looked_for.contains(condition)));
        }
        let path = self.filter_path();
        if looked_for.is_empty() || !self.begin(ended, "POST", path, None).await? {
            return Ok(());
        }
        let call = self.look_up(&looked_for).await;
        let hits = match &call.answer {
            Err(failure) => return self.fail(&call, failure, None, None).await,
            Ok(hits) => hits,
        };
        let ended = answered(&call, self.now());
        match choose(match_by, &wanted, hits) {
            Choice::One { contact_id, lacks_identifier } => self.found(contact_id, lacks_identifier, ended).await,
            Choice::Many(candidates) => {
                let words = "several contacts match; link the right one with `contacts link`".to_owned();
                self.hold(ended, "several_contacts", words, &candidates, None).await
            }
            Choice::None { .. } => {
                let holders = holders(plan, &refused.fields, hits);
                if let [(field, _), ..] = holders.as_slice() {
                    let ids: Vec<ContactId> = holders.iter().map(|(_, id)| *id).collect();
                    let words = format!(
                        "another contact has this {field} already, so none was created; \
                         link that one with `contacts link`, or mend the value"
                    );
                    return self.hold(ended, "taken", words, &ids, None).await;
                }
                let newly: Vec<Field> =
                    refused.fields.into_iter().filter(|field| !known_invalid.contains(field)).collect();
                if newly.is_empty() {
                    let words = format!("Chatwoot refuses to create the contact ({})", attributes.join(", "));
                    return self.settle_all(Some(ended), RowState::Dead, ("refused", words), NextTurn::AsRowsSay).await;
                }
                let invalid: Vec<Field> = known_invalid.iter().cloned().chain(newly).collect();
                Box::pin(self.create(Some(ended), &invalid)).await
            }
        }
    }
}

/// Which contacts have the refused values.
fn holders(plan: &Plan, refused: &[Field], hits: &[Contact]) -> Vec<(Field, ContactId)> {
    refused
        .iter()
        .filter_map(|field| {
            let value = &plan.send.get(field)?.value;
            let holder = hits.iter().find(|hit| hit.field(field).as_ref() == Some(value))?;
            Some((field.clone(), holder.id))
        })
        .collect()
}
