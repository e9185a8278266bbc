//! Tests of the whole: webhooks through mappings. The rules of each part are tested in its own file.

mod hostile;
mod properties;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    sources::{Headers, Proof, Request},
};

fn spec(rules: &[(&str, &str)]) -> MappingSpec {
    let mut spec = MappingSpec::default();
    for (key, code) in rules {
        let code = (*code).to_owned();
        match *key {
            "id" => spec.id = Some(code),
            "topic" => spec.topic = Some(code),
            "when" => spec.when = Some(code),
            "each" => spec.each = Some(code),
            "occurred_at" => spec.occurred_at = Some(code),
            "phone_region" => spec.phone_region = Some(code),
            "identifier_prefix" => spec.identifier_prefix = code,
            "identifier" => drop(spec.map.insert(Target::Identifier, code)),
            "phone_country" => drop(spec.map.insert(Target::PhoneCountry, code)),
            field => drop(spec.map.insert(Target::Field(field.parse().unwrap()), code)),
        }
    }
    spec
}

fn mapping(rules: &[(&str, &str)]) -> Mapping {
    Mapping::compile(&spec(rules)).unwrap()
}

fn webhook_with(headers: &[(&str, &str)], path_query: &str, body: impl Into<Bytes>) -> VerifiedWebhook {
    let headers = Headers::new(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let request = Request { method: "POST".into(), path_query: path_query.into(), headers, body: body.into() };
    VerifiedWebhook::from_store(Arc::from("shop"), request, Timestamp::from_secs(1_790_946_851), Proof::default())
}

fn webhook(body: &str) -> VerifiedWebhook {
    webhook_with(&[], "/hooks/shop", body.to_owned())
}

fn map(rules: &[(&str, &str)], body: &str) -> Mapped {
    mapping(rules).map(&webhook(body), &[]).unwrap()
}

fn elements(mapped: Mapped) -> Vec<Element> {
    match mapped.result {
        Outcome::Mapped(elements) => elements,
        other => panic!("not mapped: {other:?}"),
    }
}

/// What one rule makes of a body, beside an e-mail that names the contact: the JSON of the field, or why it was dropped.
fn field(name: &str, code: &str, body: &str) -> Result<Option<serde_json::Value>, String> {
    let mapped = map(&[("email", r#""dana@example.com""#), (name, code)], body);
    let element = elements(mapped).remove(0);
    match element.dropped.first() {
        Some(dropped) => Err(dropped.reason.clone()),
        None => Ok(element.update.unwrap().update.fields().get(&name.parse().unwrap()).cloned()),
    }
}

fn messages(rules: &[(&str, &str)]) -> Vec<String> {
    Mapping::compile(&spec(rules)).unwrap_err().iter().map(ToString::to_string).collect()
}

/// A customer as Shopify's topic `customers/update` sends it (shopify.dev, API version 2026-01, read 2026-10).
const SHOPIFY_CUSTOMER: &str = r#"{
  "id": 7700000000001, "created_at": "2026-09-01T09:00:00+03:00", "updated_at": "2026-10-02T16:14:11+03:00",
  "first_name": "Dana", "last_name": "Levi", "state": "enabled", "note": null, "verified_email": true,
  "multipass_identifier": null, "tax_exempt": false, "email": " Dana.Levi@Example.com", "phone": null, "currency": "ILS",
  "addresses": [{
    "id": 9900000000001, "customer_id": 7700000000001, "first_name": "Dana", "last_name": "Levi", "company": null,
    "address1": "1 Herzl St", "address2": null, "city": "Tel Aviv", "province": null, "country": "Israel", "zip": "6100000",
    "phone": "050-234-5678", "name": "Dana Levi", "province_code": null, "country_code": "IL", "country_name": "Israel", "default": true
  }],
  "tax_exemptions": [], "admin_graphql_api_id": "gid://shopify/Customer/7700000000001",
  "default_address": {
    "id": 9900000000001, "customer_id": 7700000000001, "first_name": "Dana", "last_name": "Levi", "company": null,
    "address1": "1 Herzl St", "address2": null, "city": "Tel Aviv", "province": null, "country": "Israel", "zip": "6100000",
    "phone": "050-234-5678", "name": "Dana Levi", "province_code": null, "country_code": "IL", "country_name": "Israel", "default": true
  }
}"#;

const SHOPIFY_RULES: &[(&str, &str)] = &[
    ("id", r#"$headers["x-shopify-webhook-id"]"#),
    ("topic", r#"$headers["x-shopify-topic"]"#),
    ("when", r#"$headers["x-shopify-topic"] | startswith("customers/")"#),
    ("occurred_at", ".updated_at"),
    ("identifier", ".id"),
    ("name", r#"[.first_name, .last_name] | map(select(.)) | join(" ")"#),
    ("email", ".email"),
    ("phone_number", ".phone // .default_address.phone"),
    ("phone_country", ".default_address.country_code"),
    ("custom_attributes.city", ".default_address.city"),
    ("custom_attributes.verified", ".verified_email"),
];

#[test]
fn a_shopify_customer_becomes_an_update() {
    let headers = [
        ("X-Shopify-Webhook-Id", "b54557e4"),
        ("X-Shopify-Topic", "customers/update"),
        ("Content-Type", "application/json"),
    ];
    let mapped = mapping(SHOPIFY_RULES).map(&webhook_with(&headers, "/hooks/shop", SHOPIFY_CUSTOMER), &[]).unwrap();
    insta::assert_json_snapshot!(mapped, @r#"
    {
      "event_id": "b54557e4",
      "topic": "customers/update",
      "result": {
        "mapped": [
          {
            "index": 0,
            "occurred_at": 1790946851000,
            "update": {
              "identifier": "7700000000001",
              "fields": {
                "custom_attributes": {
                  "city": "Tel Aviv",
                  "verified": true
                },
                "email": "dana.levi@example.com",
                "name": "Dana Levi",
                "phone_number": "+972502345678"
              }
            },
            "dropped": []
          }
        ]
      }
    }
    "#);
}

#[test]
fn every_fault_is_reported_at_once_with_its_key_and_place() {
    let faults = messages(&[
        ("id", ".a |"),
        ("when", ".a = 1"),
        ("name", "now | todate"),
        ("email", ".email | foo(1; 2)"),
        ("identifier", "$ENV.PATH"),
        ("custom_attributes.x", ".a\n| \"unclosed"),
        ("additional_attributes.y", "def f: f; f"),
        ("phone_region", "Israel"),
    ]);
    insta::assert_snapshot!(faults.join("\n"), @r#"
    event.id: at the end: expected term
    event.when: `=`, `|=`, `+=` and the like cannot be used: build a new object with {…} or with_entries(…); to compare, write `==`
    map.identifier: at character 1: there is no variable `$ENV`; bound are $body, $headers, $query, $source, $received_at
    map.name: at character 1: `now` cannot be used: a replay must give the same result: use $received_at for the time of receipt
    map.email: at character 10: there is no function `foo` with 2 arguments
    map.custom_attributes.x: at the end: expected closing quote
    map.additional_attributes.y: `def` cannot be used: an expression must not be able to call itself
    phone_region: it is no country code of two letters, such as IL
    "#);
}

#[test]
fn a_mapping_that_names_nobody_does_not_compile() {
    let faults = messages(&[("name", ".name")]);
    assert_eq!(faults, ["map: nothing says whom an update is about: map identifier, email or phone_number"]);
}

#[test]
fn a_false_when_ignores_the_webhook_and_a_failing_one_makes_it_unmappable() {
    let rules = |when| [("email", ".email"), ("when", when), ("id", ".id")];
    let ignored = Outcome::Ignored { reason: "event.when is false".to_owned() };
    for when in [".ok", ".missing", "empty", ".ok == true"] {
        let mapped = map(&rules(when), r#"{"id": 5, "ok": false}"#);
        assert_eq!((mapped.event_id.as_deref(), mapped.result), (Some("5"), ignored.clone()), "{when}");
    }
    let Outcome::Unmappable { reason } = map(&rules(".type | startswith(\"user.\")"), r#"{"type": 5}"#).result else {
        panic!()
    };
    assert_eq!(reason, "event.when: the expression failed: cannot use a number as string");
}

#[test]
fn each_result_of_each_is_an_element_and_too_many_are_never_cut() {
    let rules = [("each", ".users[]"), ("email", ".email"), ("custom_attributes.shop", "$body.shop")];
    let found = elements(map(&rules, r#"{"shop": "x", "users": [{"email": "a@b.example"}, {"email": "nobody"}]}"#));
    assert_eq!(
        found.iter().map(|element| (element.index, element.update.is_ok())).collect::<Vec<_>>(),
        [(0, true), (1, false)]
    );
    assert_eq!(
        found[0].update.as_ref().unwrap().update.fields()[&"custom_attributes.shop".parse().unwrap()],
        json!("x")
    );
    assert_eq!(found[1].dropped, [Dropped { field: "email".into(), reason: "it is no e-mail address".into() }]);

    let users = |count| json!({"users": vec![json!({"email": "a@b.example"}); count]}).to_string();
    assert_eq!(elements(map(&rules, &users(1_000))).len(), 1_000);
    let too_many = Outcome::Unmappable { reason: "event.each gave more than 1000 elements".to_owned() };
    assert_eq!(map(&rules, &users(1_001)).result, too_many);
    assert!(matches!(map(&rules, r#"{"users": []}"#).result, Outcome::Ignored { .. }));
    assert!(matches!(map(&rules, r#"{"users": 5}"#).result, Outcome::Unmappable { .. }));
}

#[test]
fn null_blank_and_nothing_leave_a_field_alone() {
    for code in ["null", r#"" ""#, "empty", ".missing", ".missing[]?", "select(false)", "null, null"] {
        assert_eq!(field("name", code, "{}"), Ok(None), "{code}");
        assert_eq!(field("custom_attributes.x", code, "{}"), Ok(None), "{code}");
    }
}

#[test]
fn a_field_takes_one_result_and_several_are_dropped_with_a_reason() {
    assert_eq!(field("name", r#"null, "Dana""#, "{}"), Ok(Some(json!("Dana"))));
    assert_eq!(field("name", r#""Dana", "Levi""#, "{}"), Err("the expression gave several results".to_owned()));
}

#[test]
fn a_text_field_takes_texts_and_numbers_and_an_attribute_any_json() {
    assert_eq!(field("name", ".", "12345678901234"), Ok(Some(json!("12345678901234"))));
    assert_eq!(field("name", ".", "true"), Err("it is true or false, not a text".to_owned()));
    assert_eq!(field("name", ".", "[]"), Err("it is an array, not a text".to_owned()));
    assert_eq!(field("custom_attributes.x", ".", r#"{"a": [1, true]}"#), Ok(Some(json!({"a": [1, true]}))));
    assert_eq!(field("custom_attributes.x", ".", "false"), Ok(Some(json!(false))));
    assert!(field("custom_attributes.x", ".", "[[1]]").is_err());
}

#[test]
fn a_failure_names_kinds_and_never_values() {
    for (code, reason) in [
        (".name.first", "the expression failed: cannot index a text with a text"),
        (".name[]", "the expression failed: cannot use a text as an array or object"),
        (".name - 1", "the expression failed: cannot calculate a text - a number"),
        (".name | tonumber", "the expression failed: cannot use a text as a number"),
        (".name | fromjson", "the expression failed: cannot use a text as JSON"),
        ("error(.name)", "the expression failed: it raised an error of its own"),
        ("error", "the expression failed: it raised an error of its own"),
        (".name | fromdate", "the expression failed: it raised an error of its own"),
        (".name | test(\"(\")", "the expression failed: it raised an error of its own"),
        ("{(.name): 1}.x.y.z | .[\"secret\"] | keys", "the expression failed: cannot use null as an array or object"),
    ] {
        assert_eq!(field("custom_attributes.x", code, r#"{"name": "secret"}"#), Err(reason.to_owned()), "{code}");
    }
}

#[test]
fn a_failing_field_does_not_hold_back_the_others() {
    let mapped = map(
        &[("identifier", ".id.x"), ("email", ".email"), ("name", ".email.x")],
        r#"{"id": 1, "email": "a@b.example"}"#,
    );
    let element = elements(mapped).remove(0);
    assert_eq!(element.update.unwrap().update.key().as_str(), "email:a@b.example");
    assert_eq!(
        element.dropped.iter().map(|dropped| dropped.field.as_str()).collect::<Vec<_>>(),
        ["identifier", "name"]
    );
}

#[test]
fn an_element_that_names_nobody_says_so() {
    let element = elements(map(&[("email", ".email"), ("name", ".name")], r#"{"name": "Dana"}"#)).remove(0);
    assert_eq!(
        element.update.unwrap_err(),
        "no identifier, no e-mail and no phone number: nothing says whom this is about"
    );
}

#[test]
fn the_prefix_stands_before_every_identifier_but_is_none_by_itself() {
    let rules = [("identifier", ".id"), ("email", ".email"), ("identifier_prefix", "crm-")];
    let key = |body| elements(map(&rules, body)).remove(0).update.unwrap().update.key();
    assert_eq!(key(r#"{"id": 7700000000001}"#).as_str(), "crm-7700000000001");
    assert_eq!(key(r#"{"id": " ", "email": "a@b.example"}"#).as_str(), "email:a@b.example");
}

#[test]
fn a_phone_is_read_in_the_payloads_country_else_in_the_sources_region() {
    let rules = [("phone_number", ".phone"), ("phone_country", ".country"), ("phone_region", "IL")];
    let phone = |body| {
        elements(map(&rules, body)).remove(0).update.ok().and_then(|mapped| mapped.update.phone_number().cloned())
    };
    let number = |text| Some(crate::contacts::PhoneNumber::parse(text, None).unwrap());
    assert_eq!(phone(r#"{"phone": "050-234-5678"}"#), number("+972502345678"));
    assert_eq!(phone(r#"{"phone": "(212) 555-0142", "country": "us"}"#), number("+12125550142"));
    assert_eq!(phone(r#"{"phone": 502345678, "country": "Israel"}"#), number("+972502345678"));
    assert_eq!(phone(r#"{"phone": "call me"}"#), None);
}

#[test]
fn a_header_time_counts_only_if_it_is_signed() {
    let mapping = mapping(&[
        ("email", ".email"),
        ("occurred_at", r#"$headers["x-time"]"#),
        ("custom_attributes.t", r#"$headers["x-time"]"#),
    ]);
    let webhook = webhook_with(&[("X-Time", "2026-10-02T13:14:11Z")], "/hooks/shop", r#"{"email": "a@b.example"}"#);
    let time = |signed: &[String]| elements(mapping.map(&webhook, signed).unwrap()).remove(0).occurred_at;
    assert_eq!(time(&[]), None);
    assert_eq!(time(&["X-Time".to_owned()]), Some(Timestamp::from_secs(1_790_946_851)));
}

#[test]
fn a_time_that_cannot_be_read_is_dropped_with_a_reason() {
    let element =
        elements(map(&[("email", "\"a@b.example\""), ("occurred_at", ".at")], r#"{"at": "yesterday"}"#)).remove(0);
    assert_eq!((element.occurred_at, element.dropped[0].field.as_str()), (None, "occurred_at"));
    let element = elements(map(&[("email", "\"a@b.example\""), ("occurred_at", ".at")], r#"{"at": null}"#)).remove(0);
    assert_eq!((element.occurred_at, element.dropped), (None, vec![]));
}

#[test]
fn headers_query_source_and_time_of_receipt_are_bound() {
    let mapping = mapping(&[
        ("email", "$query.email"),
        ("custom_attributes.tags", "$query.tag"),
        ("custom_attributes.source", "$source"),
        ("custom_attributes.at", "$received_at"),
        ("custom_attributes.header", "$headers[\"x-a\"]"),
    ]);
    let webhook = webhook_with(&[("X-A", "1"), ("x-a", "1")], "/hooks/shop?email=a%40b.example&tag=x&tag=y", "{}");
    let element = elements(mapping.map(&webhook, &[]).unwrap()).remove(0);
    let fields = crate::contacts::fields_to_json(element.update.unwrap().update.fields());
    assert_eq!(
        serde_json::Value::Object(fields),
        json!({"email": "a@b.example", "custom_attributes": {
            "tags": ["x", "y"], "source": "shop", "at": "2026-10-02T13:14:11.000Z", "header": "1, 1"}})
    );
}

#[test]
fn a_long_event_id_is_kept_as_its_digest() {
    let mapped = map(
        &[("email", ".e"), ("id", ".id"), ("topic", ".topic")],
        &json!({"id": "x".repeat(256), "topic": "x".repeat(255)}).to_string(),
    );
    assert_eq!(mapped.event_id.map(|id| id.len()), Some(64));
    assert_eq!(mapped.topic.map(|topic| topic.len()), Some(255));
    let mapped = map(&[("email", ".e"), ("id", ".id"), ("topic", ".topic.x")], r#"{"id": true, "topic": 5}"#);
    assert_eq!((mapped.event_id, mapped.topic, mapped.dropped.len()), (None, None, 2));
}

#[test]
fn policies_are_kept_for_the_fields_of_the_update_that_are_not_always() {
    let mut spec = spec(&[("email", ".email"), ("name", ".name")]);
    spec.policies =
        [(Field::Name, Policy::IfEmpty), (Field::Email, Policy::Always), (Field::PhoneNumber, Policy::IfOurs)].into();
    let mapped =
        Mapping::compile(&spec).unwrap().map(&webhook(r#"{"email": "a@b.example", "name": "A"}"#), &[]).unwrap();
    let policies = elements(mapped).remove(0).update.unwrap().policies;
    assert_eq!(policies, [(Field::Name, Policy::IfEmpty)].into());
}

#[test]
fn what_presets_need_is_there() {
    let body = r#"{"a": "x", "n": 5, "list": [{"k": "b", "v": 1}, {"k": "a", "v": 2}], "text": "Dana Levi", "b64": "RGFuYQ==",
                   "tags": "vip, new", "at": "2026-10-02T13:14:11Z", "json": "{\"q\": [1]}"}"#;
    for (code, expected) in [
        (".a // .b", json!("x")),
        (".missing // .a", json!("x")),
        (r#"if .n > 3 and (.a == "x" or false) then "big" elif .n < 0 then "neg" else "small" end"#, json!("big")),
        (r#""\(.a)-\(.n)""#, json!("x-5")),
        (".n | tostring", json!("5")),
        (r#""007" | tonumber?"#, json!(7)),
        (r#".tags | split(", ") | last"#, json!("new")),
        (r#"[.tags | splits(", *")]"#, json!(["vip", "new"])),
        (r#".text | test("^dana"; "i")"#, json!(true)),
        (r#".text | sub("Dana"; "D.") | gsub("[aeiou]"; "")"#, json!("D. Lv")),
        (r#".text | capture("(?<first>\\w+) (?<last>\\w+)") | .last"#, json!("Levi")),
        (r#".text | ascii_downcase | ltrimstr("dana ")"#, json!("levi")),
        (r#".text | startswith("D")"#, json!(true)),
        ("[.list[].v] | first", json!(1)),
        ("first(.list[] | select(.k == \"a\")).v", json!(2)),
        (".list | map({(.k): .v}) | add", json!({"b": 1, "a": 2})),
        (
            "[.list[] | {key: .k, value: .v}] | from_entries | with_entries({key: .key, value: (.value + 1)})",
            json!({"b": 2, "a": 3}),
        ),
        ("{a, n} | to_entries | map(.key)", json!(["a", "n"])),
        ("any(.list[]; .v == 2) and all(.list[]; .v > 0)", json!(true)),
        ("[.list[].k, .list[].k] | unique", json!(["a", "b"])),
        ("[.list[].k] | sort", json!(["a", "b"])),
        (".list | sort_by(.v) | last.k", json!("a")),
        (".list | max_by(.v).k", json!("a")),
        (".json | fromjson.q[0]", json!(1)),
        ("has(\"a\") and (.list | has(1))", json!(true)),
        ("{b: 1, a: 2} | keys", json!(["a", "b"])),
        ("[.a, .n, .list] | map(type)", json!(["string", "number", "array"])),
        (".b64 | @base64d", json!("Dana")),
        (".text | @uri", json!("Dana%20Levi")),
        (".at | fromdate | todate", json!("2026-10-02T13:14:11Z")),
        (r#""02/10/2026 13:14" | strptime("%d/%m/%Y %H:%M") | mktime | todate"#, json!("2026-10-02T13:14:00Z")),
        (".a as $x | $x + \"y\"", json!("xy")),
        (".list as [$first] | $first.k", json!("b")),
        ("reduce .list[].v as $v (0; . + $v)", json!(3)),
        ("[.. | .k? | select(.)]", json!(["b", "a"])),
        (r#"try error("x") catch "caught""#, json!("caught")),
        ("[.list[] | .v] | join(\"/\")", json!("1/2")),
        (r#".text | contains("Levi")"#, json!(true)),
        ("[limit(1; .list[])] | length", json!(1)),
        (".text[0:4]", json!("Dana")),
        ("[.n, .missing, \"x\", true] | join(\"-\")", json!("5--x-true")),
        (".n | not", json!(false)),
    ] {
        assert_eq!(field("custom_attributes.x", code, body), Ok(Some(expected)), "{code}");
    }
}

#[test]
fn a_request_of_a_person_is_found_before_anything_else_is_asked() {
    let mut spec =
        spec(&[("when", ".id"), ("identifier", ".id"), ("identifier_prefix", "shop-"), ("phone_region", "IL")]);
    spec.person = Some(spec::PersonSpec {
        request: r#"if $headers["x-topic"] == "redact" and keys == ["customer"] then "erase" else null end"#.to_owned(),
        identifier: Some(".customer.id".to_owned()),
        email: Some(".customer.email".to_owned()),
        phone_number: Some(".customer.phone".to_owned()),
        due_in: None,
    });
    let mapping = Mapping::compile(&spec).unwrap();
    let mapped = |topic: &str, body: &str| {
        mapping.map(&webhook_with(&[("X-Topic", topic)], "/hooks/shop", body.to_owned()), &[]).unwrap()
    };
    let redact = r#"{"customer": {"id": 7, "email": "Ada@Example.test", "phone": "nonsense"}}"#;
    let found = mapped("redact", redact);
    let Outcome::PersonRequest(request) = &found.result else { panic!("{found:?}") };
    assert_eq!(request.key().unwrap().as_str(), "shop-7");
    assert_eq!(json!(request), json!({ "kind": "erase", "identifier": "shop-7", "email": "ada@example.test" }));
    assert_eq!(found.dropped[0].field, "person.phone_number");
    assert!(matches!(mapped("other", r#"{"id": 7}"#).result, Outcome::Mapped(_)));
    assert!(
        matches!(mapped("redact", "7").result, Outcome::Unmappable { .. }),
        "an expression that fails is no update"
    );
}
