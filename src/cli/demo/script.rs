//! What happens in the demonstration, as data: who is in Chatwoot already, which webhooks arrive in which order, what
//! each must come to, and how the contacts must look in the end. All people and addresses are made up.

use crate::store::RowState;

/// A contact that is in Chatwoot before the first webhook, and the link to it that an import would have made.
#[derive(Debug)]
pub(super) struct Known {
    /// The identifier in the source, with the source's prefix.
    pub(super) identifier: &'static str,
    /// The name as an agent typed it.
    pub(super) name: &'static str,
    /// The e-mail address.
    pub(super) email: &'static str,
}

/// The contacts that are in Chatwoot before the first webhook; their ids count from 1 in this order.
pub(super) const KNOWN: [Known; 3] = [
    Known { identifier: "woo-58", name: "Emma", email: "emma.clark@example.test" },
    Known { identifier: "u-2041", name: "J. Weber", email: "jonas.weber@example.test" },
    Known { identifier: AMELIE, name: "Amélie Laurent", email: "amelie@example.test" },
];
const AMELIE: &str = "cus_R7mXw2LqPzD4aV";

/// A contact as it must look in the end.
#[derive(Debug)]
pub(super) struct Person {
    /// The display name.
    pub(super) name: &'static str,
    /// The e-mail address, by which the contact is found.
    pub(super) email: &'static str,
    /// The phone number in E.164.
    pub(super) phone_number: &'static str,
    /// A custom attribute that a webhook wrote.
    pub(super) attribute: Option<(&'static str, &'static str)>,
}

/// All contacts that must be in Chatwoot in the end, and no others.
pub(super) const IN_THE_END: [Person; 5] = [
    Person {
        name: "Emma Clark",
        email: "emma.clark@example.test",
        phone_number: "+442079460018",
        attribute: Some(("interest", "pottery")),
    },
    Person {
        name: "Jonas Weber",
        email: "jonas.weber@example.test",
        phone_number: "+493023125042",
        attribute: Some(("plan", "team")),
    },
    Person { name: "Amélie Laurent", email: "amelie@example.test", phone_number: "+33199001234", attribute: None },
    Person { name: "Noa Ben-David", email: "noa.levi@example.test", phone_number: "+972502345678", attribute: None },
    Person {
        name: "Olivia Brown",
        email: "olivia@example.test",
        phone_number: "+12025550134",
        attribute: Some(("tier", "gold")),
    },
];

/// How a webhook is signed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seal {
    /// As its source signs.
    Signed,
    /// As its source signs another body: somebody changed this one afterwards.
    StolenFrom(&'static str),
    /// Not at all.
    Bare,
}

/// What the public port must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// 200 `accepted`, and its update ends in this state.
    Accepted(RowState),
    /// 200 `duplicate`.
    Duplicate,
    /// 200 `ignored`, and nothing is stored.
    Greeted,
    /// 401.
    Refused,
}

/// One webhook of the story.
#[derive(Debug)]
pub(super) struct Step {
    /// The source, as in `/hooks/{source}`.
    pub(super) source: &'static str,
    /// What comes in, in a few words.
    pub(super) title: &'static str,
    /// What that means, in plain words.
    pub(super) explanation: &'static str,
    /// The content type.
    pub(super) content_type: &'static str,
    /// Headers beside the content type and the signature.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub(super) body: &'static str,
    /// How it is signed.
    pub(super) seal: Seal,
    /// What must come of it.
    pub(super) expected: Expected,
    /// Chatwoot answers the first call of this webhook with 500.
    pub(super) trouble: bool,
}

/// A file to send by hand while the demonstration is up.
pub(super) const BY_HAND: &str = include_str!("payloads/crm-user-by-hand.json");
/// The source that [`BY_HAND`] is for.
pub(super) const BY_HAND_SOURCE: &str = "crm";

const JSON: &str = "application/json";
const SHOPIFY_UPDATE: &[(&str, &str)] = &[
    ("X-Shopify-Topic", "customers/update"),
    ("X-Shopify-Shop-Domain", "demo.myshopify.example.test"),
    ("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
];
const SHOPIFY_UPDATED: &str = include_str!("payloads/shopify-customer-updated.json");
const STRIPE_UPDATED: &str = include_str!("payloads/stripe-customer-updated.json");

/// An ordinary webhook: JSON, signed, delivered.
const ORDINARY: Step = Step {
    source: "",
    title: "",
    explanation: "",
    content_type: JSON,
    headers: &[],
    body: "",
    seal: Seal::Signed,
    expected: Expected::Accepted(RowState::Delivered),
    trouble: false,
};

/// The story.
pub(super) const STORY: [Step; 11] = [
    Step {
        source: "shopify",
        title: "a new customer",
        explanation: "Chatwoot does not know her, so the contact is created.",
        headers: &[
            ("X-Shopify-Topic", "customers/create"),
            ("X-Shopify-Shop-Domain", "demo.myshopify.example.test"),
            ("X-Shopify-Webhook-Id", "5c7f3a52-0f0e-4ac3-93f6-9b4c3c1f7d11"),
        ],
        body: include_str!("payloads/shopify-customer-created.json"),
        ..ORDINARY
    },
    Step {
        source: "shopify",
        title: "she changes her name",
        explanation: "Only what has changed is sent.",
        headers: SHOPIFY_UPDATE,
        body: SHOPIFY_UPDATED,
        ..ORDINARY
    },
    Step {
        source: "shopify",
        title: "the same webhook again",
        explanation: "A repeat: it is acknowledged, and nothing is stored or sent.",
        headers: SHOPIFY_UPDATE,
        body: SHOPIFY_UPDATED,
        expected: Expected::Duplicate,
        ..ORDINARY
    },
    Step {
        source: "woocommerce",
        title: "a ping without signature",
        explanation: "WooCommerce asks whether the address answers. It does; nothing is stored.",
        content_type: "application/x-www-form-urlencoded",
        body: "webhook_id=12",
        seal: Seal::Bare,
        expected: Expected::Greeted,
        ..ORDINARY
    },
    Step {
        source: "woocommerce",
        title: "an update of a customer",
        explanation: "Her contact was linked before, so one call is enough.",
        headers: &[("X-WC-Webhook-Topic", "customer.updated"), ("X-WC-Webhook-ID", "12")],
        body: include_str!("payloads/woocommerce-customer-updated.json"),
        ..ORDINARY
    },
    Step {
        source: "crm",
        title: "the change of 10:15",
        explanation: "Out of order: the newer of two changes arrives first.",
        body: include_str!("payloads/crm-user-newer.json"),
        ..ORDINARY
    },
    Step {
        source: "crm",
        title: "the change of 09:40",
        explanation: "It comes late. It is kept for the audit; the newer values stand.",
        body: include_str!("payloads/crm-user-older.json"),
        expected: Expected::Accepted(RowState::Superseded),
        ..ORDINARY
    },
    Step {
        source: "stripe",
        title: "an update; Chatwoot fails",
        explanation: "Chatwoot answers 500: the update waits in the outbox for its next try.",
        body: STRIPE_UPDATED,
        trouble: true,
        ..ORDINARY
    },
    Step {
        source: "stripe",
        title: "a forged webhook",
        explanation: "The body was changed after it was signed: refused, nothing stored.",
        body: include_str!("payloads/stripe-customer-forged.json"),
        seal: Seal::StolenFrom(STRIPE_UPDATED),
        expected: Expected::Refused,
        ..ORDINARY
    },
    Step {
        source: "typeform",
        title: "a form, found by e-mail",
        explanation: "Anyone can fill in a form, so it only fills what is empty: her name stays.",
        body: include_str!("payloads/typeform-response.json"),
        ..ORDINARY
    },
    Step {
        source: "members",
        title: "a member nobody knows",
        explanation: "Signed as Standard Webhooks. No contact is found, so one is created.",
        headers: &[("webhook-id", "msg_2vNdemoKq7Rz5TbW9cYx3LmA1")],
        body: include_str!("payloads/members-member-joined.json"),
        ..ORDINARY
    },
];

/// What comes after the step with [`Step::trouble`], once Chatwoot works again.
pub(super) const RECOVERY_TITLE: &str = "the same update, next try";
/// The explanation of [`RECOVERY_TITLE`].
pub(super) const RECOVERY_EXPLANATION: &str = "Chatwoot works again, and the update arrives. Nothing was lost.";
/// The contact whose call fails in the step with [`Step::trouble`].
pub(super) const TROUBLED: &str = AMELIE;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_story_has_every_sender_and_every_turn_it_promises() {
        let sources: BTreeSet<&str> = STORY.iter().map(|step| step.source).collect();
        let promised = ["shopify", "woocommerce", "stripe", "typeform", "crm", "members"];
        assert_eq!(sources, BTreeSet::from(promised));
        for expected in [Expected::Duplicate, Expected::Greeted, Expected::Refused] {
            assert!(STORY.iter().any(|step| step.expected == expected), "{expected:?}");
        }
        assert_eq!(STORY.iter().filter(|step| step.trouble).count(), 1);
    }
}
