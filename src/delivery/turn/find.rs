//! Finding the contact of a lane that has none yet, and of one whose contact is gone.

use super::{Turn, answered};
use crate::{
    chatwoot::Contact,
    contacts::ContactId,
    delivery::{
        matching::{Choice, choose, conditions},
        settling,
    },
    settings::{GoneContact, MissingContact},
    store::{AttemptEnd, LinkOrigin, Linking, NextTurn, RowState, Settlement, StoreError, Verdict},
};

impl Turn<'_> {
    /// Looks the contact up; the call is on record since the lease.
    pub(super) async fn find(self) -> Result<(), StoreError> {
        let wanted = self.wanted();
        let conditions = conditions(&self.account.settings.match_by, &wanted);
        if conditions.is_empty() {
            return self.missing(None, &[]).await;
        }
        let call = self.look_up(&conditions).await;
        match &call.answer {
            Err(failure) => self.fail(&call, failure, None, None).await,
            Ok(hits) => {
                let choice = choose(&self.account.settings.match_by, &wanted, hits);
                let ended = answered(&call, self.now());
                self.follow(choice, ended).await
            }
        }
    }

    /// The contact answers 404: it was merged or deleted, or the whole account is gone. The account's answer to a
    /// look-up tells which, and where the contact is now.
    pub(super) async fn find_again(mut self, gone: ContactId, ended: AttemptEnd) -> Result<(), StoreError> {
        let path = self.filter_path();
        if !self.begin(ended, "POST", path, None).await? {
            return Ok(());
        }
        self.looked_again = true;
        let wanted = self.wanted();
        let conditions = conditions(&self.account.settings.match_by, &wanted);
        let call = self.look_up(&conditions).await;
        let hits: Vec<Contact> = match &call.answer {
            Err(failure) => return self.fail(&call, failure, None, None).await,
            // The one that is gone may still be found for a moment.
            Ok(hits) => hits.iter().filter(|hit| hit.id != gone).cloned().collect(),
        };
        let ended = answered(&call, self.now());
        match choose(&self.account.settings.match_by, &wanted, &hits) {
            found @ (Choice::One { .. } | Choice::Many(_)) => self.follow(found, ended).await,
            Choice::None { .. } => self.settle_gone(gone, ended).await,
        }
    }

    async fn follow(self, choice: Choice, ended: AttemptEnd) -> Result<(), StoreError> {
        match choice {
            Choice::One { contact_id, lacks_identifier } => self.found(contact_id, lacks_identifier, ended).await,
            Choice::None { differ_in_case } => self.missing(Some(ended), &differ_in_case).await,
            Choice::Many(candidates) => {
                let words = format!(
                    "{} contacts match: {}; link the right one with `contacts link`",
                    candidates.len(),
                    list(&candidates)
                );
                self.hold(ended, "several_contacts", words, &candidates, None).await
            }
        }
    }

    /// One contact is meant: links the rows' keys to it, and goes on with its update unless it has a lane already.
    pub(super) async fn found(
        mut self,
        contact_id: ContactId,
        lacks_identifier: bool,
        ended: AttemptEnd,
    ) -> Result<(), StoreError> {
        let path = self.account.client.update_path(contact_id);
        let mut call = self.next_call(ended, "PATCH", path, Some(contact_id));
        call.links = self.links(contact_id, LinkOrigin::Lookup);
        match self.delivery.shared.store.link_lane(call, contact_id).await? {
            Linking::LeaseLost => {
                self.lost();
                Ok(())
            }
            Linking::Yielded => {
                tracing::debug!(lane.id = self.lane.lease.lane, "lane joined the contact's own");
                self.delivery.wake(&self.account.name);
                Ok(())
            }
            Linking::Ours { attempt, known } => {
                self.lane.attempt = attempt;
                self.lane.known = known;
                self.lane.contact_id = Some(contact_id);
                if lacks_identifier {
                    self.identifier = self.wanted().identifiers.into_iter().next();
                }
                Box::pin(self.update(contact_id)).await
            }
        }
    }

    /// No contact: create, wait or reject, as the account says.
    async fn missing(self, ended: Option<AttemptEnd>, differ_in_case: &[ContactId]) -> Result<(), StoreError> {
        let case = if differ_in_case.is_empty() {
            String::new()
        } else {
            format!("; contacts whose identifier differs in capitals only: {}", list(differ_in_case))
        };
        match self.account.settings.missing_contact {
            MissingContact::Create => self.create(ended, &[]).await,
            MissingContact::Reject => {
                let reason = ("no_contact", format!("no contact was found, and missing_contact is reject{case}"));
                self.settle_all(ended, RowState::NoContact, reason, NextTurn::AsRowsSay).await
            }
            MissingContact::Wait => self.wait(ended, &case).await,
        }
    }

    async fn wait(&self, ended: Option<AttemptEnd>, case: &str) -> Result<(), StoreError> {
        let reason = ("no_contact_yet", format!("no contact was found; it is looked up daily{case}"));
        let mut rows = settling::all(&self.lane.rows, RowState::Waiting, Some(&reason));
        let now = self.now();
        for (result, row) in rows.iter_mut().zip(&self.lane.rows) {
            if now.since(row.created_at) >= self.account.settings.wait_for {
                result.state = RowState::Dead;
                result.reason = Some(("waited_too_long", format!("no contact appeared within wait_for{case}")));
            }
        }
        self.settle(Settlement { rows, ..self.settlement(ended, None) }).await
    }

    /// The contact is gone and nothing took its place.
    async fn settle_gone(self, gone: ContactId, ended: AttemptEnd) -> Result<(), StoreError> {
        tracing::warn!(lane.id = self.lane.lease.lane, contact.id = gone, "a linked contact is gone");
        let words = format!("contact {gone} was merged or deleted in Chatwoot, and no other one was found");
        match self.account.settings.gone_contact {
            GoneContact::Conflict => {
                let words = format!("{words}; link another one with `contacts link`, or remove the link");
                self.hold(ended, "contact_gone", words, &[], Some(gone)).await
            }
            GoneContact::Reject => {
                let rows = settling::all(&self.lane.rows, RowState::NoContact, Some(&("contact_gone", words)));
                let settlement = Settlement { rows, gone: Some(gone), ..self.settlement(Some(ended), Some(gone)) };
                self.settle(settlement).await
            }
            GoneContact::Create => self.create(Some(ended), &[]).await,
        }
    }

    /// The 404's record.
    pub(super) fn gone<T>(&self, call: &crate::chatwoot::Call<T>, contact_id: ContactId) -> AttemptEnd {
        settling::ended(call, self.now(), Some(contact_id), Verdict::Gone)
    }
}

fn list(ids: &[ContactId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
