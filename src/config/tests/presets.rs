use serde_json::{Value as Json, json};

use super::*;
use crate::{
    clock::Timestamp,
    config::presets,
    contacts::{Field, Policy},
    mapping::{Mapped, Outcome, spec::Target},
    sources::{Headers, Proof, Request, VerifiedWebhook},
};

fn source(preset: &str, more: &str) -> String {
    let variable = format!("{}_SECRET", preset.to_uppercase());
    format!("{ACCOUNT}[sources.it]\npreset = \"{preset}\"\nsecret = {{ env = \"{variable}\" }}\n{more}")
}

/// The least that a source with this preset needs. The secret is right in every encoding.
fn least(preset: &presets::Preset) -> String {
    let scheme = keys_of(preset).remove("verify").map(|verify| verify["scheme"].to_string()).unwrap_or_default();
    let proof = match scheme.trim_matches('"') {
        "jwt" | "rsa-sha256" => format!("verify.public_key = \"\"\"{RSA_KEY}\"\"\""),
        "ecdsa-p256-sha256" => format!("verify.public_key = \"\"\"{P256_KEY}\"\"\""),
        "ed25519" => format!("verify.public_key = \"{}\"", ED25519_KEY.trim()),
        _ => "secret = \"00112233445566778899aabbccddeeff\"".to_owned(),
    };
    let map = if preset.mapped { "" } else { "map.email = '.email'" };
    let proof = if preset.needs_verify_token() { format!("{proof}\nverify_token = \"agreed\"") } else { proof };
    format!(
        "server.public_url = \"https://hooks.example.com\"\n{ACCOUNT}[sources.it]\npreset = \"{}\"\n{proof}\n{map}\n",
        preset.name
    )
}

const RSA_KEY: &str = include_str!("../../../tests/fixtures/senders/keys/rsa.pub.pem");
const P256_KEY: &str = include_str!("../../../tests/fixtures/senders/keys/p256.pub.pem");
const ED25519_KEY: &str = include_str!("../../../tests/fixtures/senders/keys/ed25519.pub");

/// The file of a preset as it is written.
fn keys_of(preset: &presets::Preset) -> toml::Table {
    preset.text.parse().unwrap_or_else(|error| panic!("{}: {error}", preset.name))
}

#[test]
fn every_preset_loads_with_the_least_that_only_the_user_knows() {
    for preset in presets::all() {
        let Loaded { config, warnings } = loaded(&least(&preset));
        // What is weak about a sender stands in its note.
        assert!(warnings.is_empty() || preset.note.is_some(), "{}: {warnings}", preset.name);
        assert_eq!(config.sources["it"].preset.as_deref(), Some(preset.name));
    }
}

#[test]
fn every_preset_describes_itself() {
    const KINDS: [&str; 10] = ["shop", "payment", "form", "crm", "support", "chat", "mail", "auth", "code", "other"];
    for preset in presets::all() {
        for word in [&preset.title, &preset.docs, &preset.setup] {
            assert!(!word.is_empty(), "{} does not describe itself", preset.name);
        }
        assert!(KINDS.contains(&preset.kind.as_str()), "{}: {}", preset.name, preset.kind);
        let about = keys_of(&preset)["about"].as_table().cloned().unwrap_or_default();
        assert_eq!(about["verified"].as_str(), Some(preset.verified.as_str()), "{}", preset.name);
        assert_eq!(about["mapped"].as_bool(), Some(preset.mapped), "{}", preset.name);
        for key in about.keys() {
            let known = ["title", "kind", "docs", "setup", "verified", "mapped", "note"].contains(&key.as_str());
            assert!(known, "{}: about.{key} is read by nobody", preset.name);
        }
    }
}

#[test]
fn what_init_writes_for_a_preset_passes_its_own_check() {
    for preset in presets::all().into_iter().filter(|preset| !preset.needs_public_key()) {
        let answers = InitAnswers {
            base_url: "https://chat.example.com".to_owned(),
            account_id: 1,
            presets: vec![preset.name.to_owned()],
            phone_region: Some("IL".to_owned()),
        };
        let env = starter_variables(&answers)
            .iter()
            .fold(FixedEnvironment::default(), |env, name| env.with_var(name, "00112233445566778899aabbccddeeff"));
        let loaded = parse(&starter(&answers), "contact-relay.toml", &env);
        assert!(
            loaded.is_ok(),
            "{}: {}",
            preset.name,
            loaded.err().map(|problems| problems.render(false)).unwrap_or_default()
        );
    }
}

#[test]
fn presets_stand_in_order_of_their_names() {
    let names: Vec<_> = presets::all().iter().map(|preset| preset.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn a_preset_without_a_map_asks_for_one_and_for_nothing_else() {
    for preset in presets::all().iter().filter(|preset| !preset.mapped) {
        let text = least(preset).replace("map.email = '.email'", "");
        let problems = faults(&text);
        let shown = problems.render(false);
        assert_eq!(problems.len(), 1, "{}: {shown}", preset.name);
        assert!(shown.contains("leaves it to you which fields to write"), "{shown}");
        assert!(shown.contains("add [sources.it.map]") && shown.contains(preset.name), "{shown}");
    }
}

#[test]
fn a_sender_that_is_not_supported_is_told_why() {
    for sender in presets::unsupported() {
        assert!(presets::find(&sender.name).is_none() && !sender.title.is_empty() && !sender.reason.is_empty());
    }
    let shown = faults(&source("paypal", "")).render(false);
    assert!(shown.contains("PayPal signs with certificates"), "{shown}");
}

#[test]
fn a_preset_is_overridden_key_by_key() {
    let more = "event.when = 'true'\nmap.custom_attributes.tags = '.tags'\nverify.signature.header = \"X-Other\"\n";
    let config = loaded(&source("shopify", more)).config;
    let spec = &config.sources["it"].spec;
    assert_eq!(spec.when.as_deref(), Some("true"));
    assert_eq!(spec.topic.as_deref(), Some("$headers[\"x-shopify-topic\"]"));
    assert!(spec.map.contains_key(&Target::Identifier));
    assert_eq!(spec.map[&Target::Field(Field::Custom("tags".to_owned()))], ".tags");
}

#[test]
fn another_scheme_replaces_the_whole_of_a_presets_verify() {
    loaded(&source("stripe", "verify = { scheme = \"token\", header = \"X-Token\" }\n"));
    let fault = only_fault(&source(
        "stripe",
        "verify = { scheme = \"hash\", algorithm = \"sha256\" , signed = \"{secret}{body}\" }\n",
    ));
    assert!(fault.starts_with("sources.it.verify.signature: is missing"), "{fault}");
}

#[test]
fn another_place_of_the_signature_replaces_the_presets_place() {
    loaded(&source("shopify", "verify.signature.json = \"/signature\"\nverify.signed = \"{json:/id}\"\n"));
}

#[test]
fn a_fault_that_comes_of_an_override_points_at_the_users_line() {
    let problems = faults(&source("shopify", "verify.signature.format = \"kv\"\n"));
    assert_eq!(lines(&problems).len(), 1, "{problems}");
    let fault = problems.iter().next().expect("one");
    assert_eq!((fault.line, fault.key.as_str()), (Some(9), "sources.it.verify.signature.key"));
    let shown = problems.render(false);
    assert!(shown.contains("verify.signature.format"), "{shown}");
}

#[test]
fn the_description_of_a_preset_is_not_the_users_to_write() {
    let fault = only_fault(&source("shopify", "about = { title = \"Mine\" }\n"));
    assert_eq!(fault, "sources.it.about: unknown key");
}

#[test]
fn what_anybody_can_fill_in_does_not_replace_what_is_there() {
    for preset in presets::all().iter().filter(|preset| preset.kind == "form") {
        let config = loaded(&least(preset)).config;
        for field in [Field::Name, Field::Email, Field::PhoneNumber] {
            assert_eq!(config.sources["it"].spec.policies[&field], Policy::IfEmpty, "{}: {field}", preset.name);
        }
    }
}

#[test]
fn woocommerce_says_hello_without_a_signature() {
    let config = loaded(&source("woocommerce", "")).config;
    assert!(matches!(config.sources["it"].handshake, Some(crate::sources::Handshake::WooCommerce)));
    assert_eq!(config.sources["it"].spec.id, None);
}

/// What a preset makes of a body with the given headers.
fn map(preset: &str, headers: &[(&str, &str)], body: &Json) -> Mapped {
    let config = loaded(&source(preset, "phone_region = \"IL\"\n")).config;
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let request = Request {
        method: "POST".to_owned(),
        path_query: "/hooks/it".to_owned(),
        headers: Headers::new([("content-type".to_owned(), "application/json".to_owned())].into_iter().chain(headers)),
        body: body.to_string().into(),
    };
    let received_at = Timestamp::from_secs(1_790_946_851);
    let webhook = VerifiedWebhook::from_store("it".into(), request, received_at, Proof::default());
    config.sources["it"].mapping.map(&webhook, &[]).expect("a body that can be read")
}

/// The single element of what was mapped: its time, and the update as JSON.
fn only_element(mapped: &Mapped) -> (String, Json) {
    let Outcome::Mapped(elements) = &mapped.result else { panic!("{mapped:?}") };
    let [element] = elements.as_slice() else { panic!("{mapped:?}") };
    assert!(element.dropped.is_empty(), "{element:?}");
    let occurred_at = element.occurred_at.map(|moment| moment.to_string()).unwrap_or_default();
    (occurred_at, serde_json::to_value(element).expect("serializes")["update"].clone())
}

const SHOPIFY_CUSTOMER: [(&str, &str); 2] =
    [("X-Shopify-Topic", "customers/update"), ("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")];
const SHOPIFY_ORDER: [(&str, &str); 1] = [("X-Shopify-Topic", "orders/create")];

#[test]
fn a_shopify_customer_is_known_by_the_customers_number() {
    let body = json!({
        "id": 7_103_465_521_225_i64, "email": "Dana@Example.com", "first_name": "Dana", "last_name": null,
        "updated_at": "2026-10-02T15:14:11+02:00", "phone": null,
        "default_address": { "phone": "050-234-5678", "country_code": "IL" },
    });
    let mapped = map("shopify", &SHOPIFY_CUSTOMER, &body);
    assert_eq!(mapped.event_id.as_deref(), Some("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"));
    assert_eq!(mapped.topic.as_deref(), Some("customers/update"));
    assert_eq!(
        only_element(&mapped),
        (
            "2026-10-02T13:14:11.000Z".to_owned(),
            json!({
                "identifier": "7103465521225",
                "fields": { "name": "Dana", "email": "dana@example.com", "phone_number": "+972502345678" },
            })
        )
    );
}

#[test]
fn a_shopify_order_is_about_its_customer_or_else_about_its_address() {
    let body = json!({
        "id": 450_789_469, "email": "dana@example.com", "line_items": [], "updated_at": "2026-10-02T13:14:11Z",
        "customer": { "id": 7, "first_name": "Dana", "last_name": "Cohen", "email": "dana@example.com", "phone": null },
        "billing_address": { "first_name": "Someone", "phone": "+1 212 555 2368", "country_code": "US" },
    });
    let (_, update) = only_element(&map("shopify", &SHOPIFY_ORDER, &body));
    assert_eq!(update["identifier"], "7");
    assert_eq!(update["fields"]["name"], "Dana Cohen");

    for customer in [Json::Null, json!({})] {
        let mut guest = body.clone();
        guest["customer"] = customer;
        let (_, update) = only_element(&map("shopify", &SHOPIFY_ORDER, &guest));
        assert_eq!(update.get("identifier"), None, "the order's number is nobody's");
        assert_eq!(update["fields"]["email"], "dana@example.com");
    }
    // The topic is not signed: an order under another topic is an order still.
    let (_, update) = only_element(&map("shopify", &SHOPIFY_CUSTOMER, &body));
    assert_eq!(update["identifier"], "7");
}

#[test]
fn a_topic_that_is_not_about_contacts_is_ignored() {
    for (preset, header, topic) in
        [("shopify", "X-Shopify-Topic", "products/update"), ("woocommerce", "X-WC-Webhook-Topic", "coupon.created")]
    {
        let mapped = map(preset, &[(header, topic)], &json!({ "id": 1, "email": "dana@example.com" }));
        assert!(matches!(mapped.result, Outcome::Ignored { .. }), "{mapped:?}");
        let mapped = map(preset, &[], &json!({ "id": 1, "email": "dana@example.com" }));
        assert!(matches!(mapped.result, Outcome::Ignored { .. }), "{mapped:?}");
    }
}

#[test]
fn a_woocommerce_customer_without_a_name_has_the_one_of_the_address() {
    let body = json!({
        "id": 25, "email": "dana@example.com", "first_name": "", "last_name": "", "date_modified_gmt": null,
        "billing": { "first_name": "Dana", "last_name": "Cohen", "email": "", "phone": "050-234-5678", "country": "IL" },
    });
    let mapped = map("woocommerce", &[("X-WC-Webhook-Topic", "customer.updated")], &body);
    assert_eq!(mapped.event_id, None);
    assert_eq!(
        only_element(&mapped),
        (
            String::new(),
            json!({
                "identifier": "25",
                "fields": { "name": "Dana Cohen", "email": "dana@example.com", "phone_number": "+972502345678" },
            })
        )
    );
}

#[test]
fn the_order_of_a_woocommerce_guest_has_no_identifier() {
    let order = |customer: i64| {
        let body = json!({
            "id": 727, "customer_id": customer, "line_items": [], "date_modified_gmt": "2026-10-02T13:14:11",
            "billing": { "first_name": "Dana", "last_name": "", "email": "dana@example.com", "phone": "", "country": "IL" },
        });
        only_element(&map("woocommerce", &[("X-WC-Webhook-Topic", "order.created")], &body))
    };
    let fields = json!({ "name": "Dana", "email": "dana@example.com" });
    assert_eq!(order(0), ("2026-10-02T13:14:11.000Z".to_owned(), json!({ "fields": fields })));
    assert_eq!(order(25).1, json!({ "identifier": "25", "fields": fields }));
}

#[test]
fn a_stripe_customer_and_a_finished_checkout_lead_to_the_same_identifier() {
    let event = |kind: &str, object: Json| {
        let body = json!({ "id": "evt_1", "type": kind, "created": 1_790_946_851, "data": { "object": object } });
        map("stripe", &[], &body)
    };
    let customer = json!({
        "id": "cus_9", "object": "customer", "name": "Dana Cohen", "email": "dana@example.com", "phone": "050 234 5678",
        "address": { "country": "IL" },
    });
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "customer": "cus_9",
        "customer_details": { "name": "Dana Cohen", "email": "dana@example.com", "phone": "+972502345678", "address": null },
    });
    let expected = json!({
        "identifier": "cus_9",
        "fields": { "name": "Dana Cohen", "email": "dana@example.com", "phone_number": "+972502345678" },
    });
    let mapped = event("customer.updated", customer);
    assert_eq!((mapped.event_id.as_deref(), mapped.topic.as_deref()), (Some("evt_1"), Some("customer.updated")));
    assert_eq!(only_element(&mapped), ("2026-10-02T13:14:11.000Z".to_owned(), expected.clone()));
    assert_eq!(only_element(&event("checkout.session.completed", session.clone())).1, expected);

    let mut guest = session;
    guest["customer"] = Json::Null;
    let (_, update) = only_element(&event("checkout.session.completed", guest));
    assert_eq!(update.get("identifier"), None);
    let ignored = event("invoice.paid", json!({ "id": "in_1", "object": "invoice" }));
    assert!(matches!(ignored.result, Outcome::Ignored { .. }), "{ignored:?}");
}

#[test]
fn the_answers_of_a_typeform_are_found_by_type_and_reference() {
    let response = |hidden: Json, answers: Json| {
        let body = json!({
            "event_id": "LtWXD3crgy", "event_type": "form_response",
            "form_response": {
                "token": "a3a12ec67a1365927098a606107fac15", "submitted_at": "2026-10-02T13:14:11Z",
                "hidden": hidden, "answers": answers,
            },
        });
        map("typeform", &[], &body)
    };
    let answers = json!([
        { "type": "text", "text": "Dana", "field": { "id": "1", "type": "short_text", "ref": "first_name" } },
        { "type": "text", "text": "Cohen", "field": { "id": "2", "type": "short_text", "ref": "last_name" } },
        { "type": "email", "email": "dana@example.com", "field": { "id": "3", "type": "email", "ref": "x" } },
        { "type": "phone_number", "phone_number": "+972502345678", "field": { "id": "4", "ref": "y" } },
        { "type": "boolean", "boolean": true, "field": { "id": "5", "ref": "z" } },
    ]);
    let fields = json!({ "name": "Dana Cohen", "email": "dana@example.com", "phone_number": "+972502345678" });
    let policies = json!({ "name": "if_empty", "email": "if_empty", "phone_number": "if_empty" });
    let mapped = response(json!({ "user_id": "77" }), answers.clone());
    assert_eq!(mapped.event_id.as_deref(), Some("LtWXD3crgy"));
    assert_eq!(
        only_element(&mapped),
        ("2026-10-02T13:14:11.000Z".to_owned(), json!({ "identifier": "77", "fields": fields, "policies": policies }))
    );
    // A response's token is no person's id.
    let (_, update) = only_element(&response(Json::Null, answers));
    assert_eq!(update, json!({ "fields": fields, "policies": policies }));
    // Nothing was answered.
    let mapped = response(Json::Null, Json::Null);
    let Outcome::Mapped(elements) = &mapped.result else { panic!("{mapped:?}") };
    assert!(elements[0].update.is_err(), "{mapped:?}");
}
