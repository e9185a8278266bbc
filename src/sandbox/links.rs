//! A new contact's link to an inbox: which `source_id` it gets, and what happens when that one is taken.

use super::{
    contacts::{ContactInbox, ContactRecord, Contacts},
    failure::Failure,
    options::Inbox,
};

/// The link a create asks for. `fresh` is the id to use where the server takes a random one.
///
/// # Errors
/// [`Failure::Refused`] when the channel needs an e-mail or phone the contact lacks; [`Failure::Internal`] for
/// channels that make no source ids, and for one that is taken.
pub(super) fn build(
    contacts: &mut Contacts,
    contact: &ContactRecord,
    inbox: &Inbox,
    source_id: Option<String>,
    fresh: impl FnOnce() -> String,
) -> Result<ContactInbox, Failure> {
    let source_id = match source_id {
        Some(source_id) => source_id,
        None => generated(contact, inbox, fresh)?,
    };
    if let Some(holder) = contacts.linked(inbox.id, &source_id).filter(|holder| *holder != contact.id) {
        if matches!(inbox.channel_type.as_str(), "Channel::Api" | "Channel::WebWidget") {
            return Err(Failure::Internal);
        }
        mangle(contacts, holder, inbox.id, &source_id);
    }
    Ok(ContactInbox { inbox_id: inbox.id, source_id })
}

fn generated(contact: &ContactRecord, inbox: &Inbox, fresh: impl FnOnce() -> String) -> Result<String, Failure> {
    let present = |text: &Option<String>, what: &str| {
        let missing = || Failure::Refused(format!("param is missing or the value is empty: contact {what}"));
        text.clone().filter(|text| !text.trim().is_empty()).ok_or_else(missing)
    };
    match inbox.channel_type.as_str() {
        "Channel::Api" | "Channel::WebWidget" => Ok(fresh()),
        "Channel::Email" => present(&contact.email, "email"),
        "Channel::Sms" | "Channel::TwilioSms" => present(&contact.phone_number, "phone number"),
        "Channel::Whatsapp" => Ok(present(&contact.phone_number, "phone number")?.replace('+', "")),
        _ => Err(Failure::Internal),
    }
}

/// The older link gives its source id up to the new one.
fn mangle(contacts: &mut Contacts, holder: i64, inbox_id: i64, source_id: &str) {
    let Some(mut record) = contacts.get(holder).cloned() else { return };
    for link in &mut record.contact_inboxes {
        if link.inbox_id == inbox_id && link.source_id == source_id {
            link.source_id.push_str("-taken-over");
        }
    }
    contacts.put(record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn inbox(channel_type: &str) -> Inbox {
        Inbox { id: 7, name: "Inbox".to_owned(), channel_type: channel_type.to_owned() }
    }

    fn contact(id: i64) -> ContactRecord {
        let mut record = ContactRecord::new(id, Timestamp::from_secs(1));
        record.phone_number = Some("+15551234".to_owned());
        record
    }

    fn source_id(channel_type: &str) -> Result<String, Failure> {
        let fresh = || "random".to_owned();
        build(&mut Contacts::default(), &contact(1), &inbox(channel_type), None, fresh).map(|link| link.source_id)
    }

    #[test]
    fn each_channel_has_its_own_source_id() {
        assert_eq!(source_id("Channel::Api").as_deref(), Ok("random"));
        assert_eq!(source_id("Channel::Sms").as_deref(), Ok("+15551234"));
        assert_eq!(source_id("Channel::Whatsapp").as_deref(), Ok("15551234"));
        let missing = "param is missing or the value is empty: contact email";
        assert_eq!(source_id("Channel::Email"), Err(Failure::Refused(missing.to_owned())));
        assert_eq!(source_id("Channel::Telegram"), Err(Failure::Internal));
    }

    #[test]
    fn a_taken_source_id_is_an_internal_error_in_an_api_inbox_and_taken_over_elsewhere() {
        let mut contacts = Contacts::default();
        let mut holder = contact(1);
        holder.contact_inboxes.push(ContactInbox { inbox_id: 7, source_id: "s".to_owned() });
        contacts.put(holder);
        let mut claim = |channel_type: &str| {
            build(&mut contacts, &contact(2), &inbox(channel_type), Some("s".to_owned()), String::new)
        };
        assert_eq!(claim("Channel::Api"), Err(Failure::Internal));
        assert_eq!(claim("Channel::Sms").unwrap().source_id, "s");
        assert_ne!(contacts.get(1).unwrap().contact_inboxes[0].source_id, "s");
    }
}
