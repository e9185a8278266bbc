//! Updating a known contact: one call for everything that waits for it.

use serde_json::{Map, Value, json};

use super::{Turn, answered};
use crate::{
    chatwoot::{Call, Condition, Contact, Failure, not_taken},
    contacts::{ContactId, Field, Fields, fields_to_json},
    delivery::settling::{self, Reason, Sent},
    merge::{self, Plan, Winner},
    store::{AttemptEnd, FieldOutcome, NewConflict, ParkedValue, Settlement, StoreError, Verdict},
};

/// A body is sent at most so often with fewer fields each time, before the rest is parked as it is.
const MOST_REFUSALS: usize = 4;

impl Turn<'_> {
    pub(super) async fn update(mut self, contact_id: ContactId) -> Result<(), StoreError> {
        let rows: Vec<merge::Row> = self.lane.rows.iter().map(|row| row.row.clone()).collect();
        let mut plan = merge::plan(&rows, &self.lane.known);
        let mut looked = None;
        if !plan.ask.is_empty() && !self.account.settings.dry_run {
            self.account.count_call(self.now());
            let call = self.account.client.show(contact_id).await;
            match &call.answer {
                Err(Failure::NotFound) => return self.not_found(&call, contact_id).await,
                Err(failure) => return self.fail(&call, failure, Some(contact_id), None).await,
                Ok(contact) => {
                    plan.decide(&self.lane.known, |field| contact.field(field).unwrap_or(Value::Null));
                    looked = Some(settling::ended(&call, self.now(), Some(contact_id), Verdict::Answered));
                }
            }
        }
        if self.account.settings.dry_run {
            return self.would_send(contact_id, &plan).await;
        }
        if plan.send.is_empty() && self.identifier.is_none() {
            return self.settle_update(contact_id, looked, &plan, &Sent::new(), Vec::new()).await;
        }
        if let Some(ended) = looked {
            let path = self.account.client.update_path(contact_id);
            if !self.begin(ended, "PATCH", path, Some(contact_id)).await? {
                return Ok(());
            }
        }
        self.send(contact_id, plan).await
    }

    /// Sends the plan, without the fields that the server refuses.
    async fn send(mut self, contact_id: ContactId, mut plan: Plan) -> Result<(), StoreError> {
        let mut conflicts = Vec::new();
        for _ in 0..MOST_REFUSALS {
            let sending = plan.sending();
            let body = self.body(&sending);
            self.account.count_call(self.now());
            let call = self.account.client.update(contact_id, &body).await;
            match &call.answer {
                Ok(echo) => {
                    self.account.succeeded(self.lane.lease.lane, self.now());
                    return self.delivered(contact_id, &call, echo, &plan, &sending, conflicts).await;
                }
                Err(Failure::NotFound) => return self.not_found(&call, contact_id).await,
                Err(Failure::Invalid { attributes, .. }) => {
                    let ended =
                        settling::ended_writing(&call, self.now(), Some(contact_id), Verdict::Conflict, &sending);
                    let refused = refused(&sending, self.identifier.is_some(), attributes);
                    let Some(ended) =
                        self.park(contact_id, ended, refused, attributes, &mut plan, &mut conflicts).await?
                    else {
                        return Ok(());
                    };
                    if plan.send.is_empty() && self.identifier.is_none() {
                        return self.settle_update(contact_id, Some(ended), &plan, &Sent::new(), conflicts).await;
                    }
                    let path = self.account.client.update_path(contact_id);
                    if !self.begin(ended, "PATCH", path, Some(contact_id)).await? {
                        return Ok(());
                    }
                }
                Err(failure) => return self.fail(&call, failure, Some(contact_id), Some(&sending)).await,
            }
        }
        // The server names another field each time: no body is right. A person has to look.
        let fields: Vec<Field> = plan.send.keys().cloned().collect();
        for field in &fields {
            let winner = plan.park(field);
            conflicts.extend(winner.map(|winner| self.parked_stored(contact_id, field, &winner, &[])));
        }
        self.settle_update(contact_id, None, &plan, &Sent::new(), conflicts).await
    }

    fn body(&self, sending: &Fields) -> Map<String, Value> {
        let mut body = fields_to_json(sending);
        if let Some(identifier) = &self.identifier {
            body.insert("identifier".to_owned(), json!(identifier));
        }
        body
    }

    async fn not_found<T>(self, call: &Call<T>, contact_id: ContactId) -> Result<(), StoreError> {
        if self.looked_again {
            // Found by the look-up and gone in the same turn: merges are under way; later it will be clear.
            return self.fail(call, &Failure::ServerError { status: 404 }, Some(contact_id), None).await;
        }
        let ended = self.gone(call, contact_id);
        self.find_again(contact_id, ended).await
    }

    async fn delivered(
        &self,
        contact_id: ContactId,
        call: &Call<Contact>,
        echo: &Contact,
        plan: &Plan,
        sending: &Fields,
        conflicts: Vec<NewConflict>,
    ) -> Result<(), StoreError> {
        let ignored = not_taken(sending, echo);
        let sent: Sent = sending
            .keys()
            .map(|field| {
                let taken = !ignored.contains(field);
                (field.clone(), if taken { FieldOutcome::Delivered } else { FieldOutcome::NotTaken })
            })
            .collect();
        let mut ended = settling::ended_writing(call, self.now(), Some(contact_id), Verdict::Delivered, sending);
        ended.not_taken = ignored;
        self.settle_update(contact_id, Some(ended), plan, &sent, conflicts).await
    }

    async fn settle_update(
        &self,
        contact_id: ContactId,
        ended: Option<AttemptEnd>,
        plan: &Plan,
        sent: &Sent,
        conflicts: Vec<NewConflict>,
    ) -> Result<(), StoreError> {
        let parked: Reason = conflicts.first().map_or_else(
            || ("parked", "a value was refused before and waits for a person: see `contacts conflicts`".to_owned()),
            |conflict| (conflict.code, conflict.reason.clone()),
        );
        let settlement = Settlement {
            rows: settling::results(&self.lane.rows, plan, sent, &parked),
            written: Self::written(plan, |field| sent.get(field) == Some(&FieldOutcome::Delivered)),
            conflicts,
            ..self.settlement(ended, Some(contact_id))
        };
        self.settle(settlement).await
    }

    /// `dry_run`: what would be sent is on record, and nothing is sent.
    async fn would_send(&self, contact_id: ContactId, plan: &Plan) -> Result<(), StoreError> {
        let fields = plan.send.keys().chain(plan.ask.keys());
        let sent: Sent = fields.map(|field| (field.clone(), FieldOutcome::DryRun)).collect();
        let rows = settling::results(&self.lane.rows, plan, &sent, &("parked", String::new()));
        self.settle(Settlement { rows, ..self.settlement(None, Some(contact_id)) }).await
    }

    /// Takes refused fields out of the plan, and finds out who holds their values. Answers the record of the last
    /// call, or nothing when the turn is over.
    async fn park(
        &mut self,
        contact_id: ContactId,
        ended: AttemptEnd,
        refused: Refused,
        attributes: &[String],
        plan: &mut Plan,
        conflicts: &mut Vec<NewConflict>,
    ) -> Result<Option<AttemptEnd>, StoreError> {
        if refused.identifier {
            // Another contact has it; ours is found by its address, and keeps being found that way.
            self.identifier = None;
        }
        if refused.fields.is_empty() && !refused.identifier {
            // Nothing that we sent: the record itself is invalid, and no update can pass until it is mended.
            let fields: Vec<Field> = plan.send.keys().cloned().collect();
            for field in &fields {
                let winner = plan.park(field);
                conflicts.extend(winner.map(|winner| self.parked_stored(contact_id, field, &winner, attributes)));
            }
            self.identifier = None;
            return Ok(Some(ended));
        }
        let parked: Vec<(Field, Winner)> =
            refused.fields.into_iter().filter_map(|field| plan.park(&field).map(|winner| (field, winner))).collect();
        let conditions: Vec<Condition> = parked.iter().filter_map(|(field, winner)| held_by(field, winner)).collect();
        if conditions.is_empty() {
            conflicts.extend(parked.iter().map(|(field, winner)| self.parked(contact_id, field, winner, None)));
            return Ok(Some(ended));
        }
        let path = self.filter_path();
        if !self.begin(ended, "POST", path, Some(contact_id)).await? {
            return Ok(None);
        }
        let call = self.look_up(&conditions).await;
        match &call.answer {
            Err(failure) => {
                self.fail(&call, failure, Some(contact_id), None).await?;
                Ok(None)
            }
            Ok(hits) => {
                for (field, winner) in &parked {
                    let holder = hits
                        .iter()
                        .find(|hit| hit.id != contact_id && hit.field(field).as_ref() == Some(&winner.value));
                    conflicts.push(self.parked(contact_id, field, winner, holder));
                }
                Ok(Some(answered(&call, self.now())))
            }
        }
    }

    fn parked(&self, contact_id: ContactId, field: &Field, winner: &Winner, holder: Option<&Contact>) -> NewConflict {
        let (code, reason) = match holder {
            Some(holder) => ("taken", format!("contact {} has this {field} already", holder.id)),
            None => ("refused", format!("Chatwoot refuses this {field}")),
        };
        let theirs =
            holder.map_or(Value::Null, |holder| json!({ "contact_id": holder.id, "identifier": holder.identifier }));
        NewConflict {
            theirs,
            holder: holder.map(|holder| holder.id),
            ..self.conflict(contact_id, field, winner, code, reason)
        }
    }

    fn parked_stored(
        &self,
        contact_id: ContactId,
        field: &Field,
        winner: &Winner,
        attributes: &[String],
    ) -> NewConflict {
        let named = if attributes.is_empty() { "a field".to_owned() } else { attributes.join(", ") };
        let reason = format!(
            "contact {contact_id} itself is invalid in Chatwoot ({named}), so every update of it is refused; mend it there"
        );
        self.conflict(contact_id, field, winner, "stored_record_invalid", reason)
    }

    fn conflict(
        &self,
        contact_id: ContactId,
        field: &Field,
        winner: &Winner,
        code: &'static str,
        reason: String,
    ) -> NewConflict {
        let key = self.keys().into_iter().next().unwrap_or_else(|| self.lane.key.clone());
        NewConflict {
            key,
            contact_id: Some(contact_id),
            parked: Some(ParkedValue { field: field.clone(), value: winner.value.clone() }),
            theirs: Value::Null,
            holder: None,
            code,
            reason,
            row: winner.precedence.row,
        }
    }
}

/// What of a call the server refuses.
pub(super) struct Refused {
    /// Fields that were sent.
    pub(super) fields: Vec<Field>,
    /// Whether our identifier was.
    pub(super) identifier: bool,
}

/// Which of the fields sent are among the attributes that the server names; decided on names, never on its words.
pub(super) fn refused(sending: &Fields, with_identifier: bool, attributes: &[String]) -> Refused {
    let named = |field: &Field| {
        attributes.iter().any(|attribute| match field {
            Field::Custom(_) => attribute == "custom_attributes",
            Field::Additional(_) => attribute == "additional_attributes",
            Field::Name | Field::Email | Field::PhoneNumber | Field::AvatarUrl => *attribute == field.to_string(),
        })
    };
    Refused {
        fields: sending.keys().filter(|field| named(field)).cloned().collect(),
        identifier: with_identifier && attributes.iter().any(|attribute| attribute == "identifier"),
    }
}

/// How to find who holds a value that only one contact may have.
pub(super) fn held_by(field: &Field, winner: &Winner) -> Option<Condition> {
    let key = match field {
        Field::Email => "email",
        Field::PhoneNumber => "phone_number",
        Field::Name | Field::AvatarUrl | Field::Custom(_) | Field::Additional(_) => return None,
    };
    winner.value.as_str().map(|value| Condition { key, value: value.to_owned() })
}
