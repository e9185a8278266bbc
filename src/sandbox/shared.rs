//! What the server's threads and the tests' hands share: the application, the log, the faults and gates, behind one
//! lock that is never held over an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    app::App,
    calls::CallLog,
    contacts::{ContactRecord, NewContact},
    faults::{Fault, Faults},
    gate::Barrier,
    options::Options,
};
use crate::clock::Timestamp;

/// Behind the lock.
pub(super) struct State {
    pub(super) app: App,
    pub(super) calls: CallLog,
    pub(super) faults: Faults,
    pub(super) gates: Vec<Arc<Barrier>>,
}

/// Around the lock.
pub(super) struct Shared {
    pub(super) options: Options,
    state: Mutex<State>,
    /// Counts how often the faults were replaced, to wake the calls that hang by them.
    pub(super) fault_changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        let app = App::new(options.clone());
        let state = State { app, calls: CallLog::default(), faults: Faults::default(), gates: Vec::new() };
        Self { options, state: Mutex::new(state), fault_changes: watch::Sender::new(0) }
    }

    /// The state. A panic elsewhere leaves it usable: every change is made by replacing whole values.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// All contacts by id.
    pub(super) fn contacts(&self) -> Vec<ContactRecord> {
        let mut contacts: Vec<_> = self.lock().app.contacts.in_heap_order().cloned().collect();
        contacts.sort_by_key(|contact| contact.id);
        contacts
    }

    /// Keeps a contact as it is.
    pub(super) fn seed(&self, new: NewContact) -> i64 {
        let now = self.now();
        let contacts = &mut self.lock().app.contacts;
        let id = new.id.filter(|id| contacts.get(*id).is_none()).unwrap_or_else(|| contacts.take_id());
        let mut record = ContactRecord {
            name: new.name,
            email: new.email,
            phone_number: new.phone_number,
            identifier: new.identifier,
            blocked: new.blocked,
            custom_attributes: new.custom_attributes,
            additional_attributes: new.additional_attributes,
            labels: new.labels.iter().map(|label| contacts.tag(label)).collect(),
            online: new.online,
            last_activity_at: new.last_activity_at,
            ..ContactRecord::new(id, new.created_at.unwrap_or(now))
        };
        record.settle_type();
        contacts.put(record);
        id
    }

    /// Replaces the faults, and lets go the calls that hang by the old ones.
    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        let mut state = self.lock();
        state.faults.set(faults);
        // Under the lock: a call that is struck by the new faults must not take this for their end.
        self.fault_changes.send_modify(|changes| *changes += 1);
    }

    /// An empty account, no faults, an empty log; gates stay.
    pub(super) fn reset(&self) {
        self.set_faults(Vec::new());
        let mut state = self.lock();
        state.app = App::new(self.options.clone());
        state.calls.clear();
    }
}
