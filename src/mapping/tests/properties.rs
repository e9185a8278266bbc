//! No body makes mapping panic, and what comes out is stable.

use super::*;

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        ".{0,20}".prop_map(serde_json::Value::from),
        "[+0-9 ()-]{0,20}".prop_map(serde_json::Value::from),
    ];
    let key = prop_oneof!["id|email|phone|first_name|last_name|default_address|updated_at|country_code|city", ".{0,5}"];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(serde_json::Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_body_makes_a_mapping_panic(body in any_json()) {
        let rules = SHOPIFY_RULES.iter().filter(|(key, _)| *key != "when").copied().collect::<Vec<_>>();
        let mapped = mapping_once(&rules).map(&webhook(&body.to_string()), &[]).unwrap();
        prop_assert_eq!(elements(mapped).len(), 1);
    }

    #[test]
    fn no_bytes_make_a_mapping_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = mapping_once(SHOPIFY_RULES).map(&webhook_with(&[], "/", body), &[]);
    }

    #[test]
    fn no_text_makes_the_compiler_panic(code in "[a-z$.|,()\\[\\]{}\"\\\\: 0-9=+/?-]{0,40}") {
        let _ = Mapping::compile(&spec(&[("email", &code)]));
    }
}

fn mapping_once(rules: &[(&str, &str)]) -> Mapping {
    use std::sync::OnceLock;
    static FULL: OnceLock<Mapping> = OnceLock::new();
    static WITHOUT_WHEN: OnceLock<Mapping> = OnceLock::new();
    let cell = if rules.len() == SHOPIFY_RULES.len() { &FULL } else { &WITHOUT_WHEN };
    cell.get_or_init(|| mapping(rules)).clone()
}
