//! `policy.FIELD` of accounts and sources, and the way field names become tables: `custom_attributes.plan` is written
//! as a dotted key or inside a table.

use std::collections::BTreeMap;

use super::{field::Field as Written, reader::Reader};
use crate::contacts::{Field, Policy};

const POLICIES: [(&str, Policy); 3] =
    [("always", Policy::Always), ("if_ours", Policy::IfOurs), ("if_empty", Policy::IfEmpty)];

/// Reads policies by field.
pub(super) fn read_policies(table: &Reader<'_>) -> BTreeMap<Field, Policy> {
    let mut policies = BTreeMap::new();
    for (name, written) in flattened(table) {
        match name.parse::<Field>() {
            Ok(field) => policies.extend(written.choice(&POLICIES).map(|policy| (field, policy))),
            Err(error) => written.fault_of_key(error.to_string()),
        }
    }
    policies
}

/// The keys of a table of fields, with those of `custom_attributes` and `additional_attributes` spelled out.
pub(super) fn flattened<'a>(table: &Reader<'a>) -> Vec<(String, Written<'a>)> {
    let mut fields = Vec::new();
    for (name, written) in table.fields() {
        if !matches!(name, "custom_attributes" | "additional_attributes") {
            fields.push((name.to_owned(), written));
        } else if let Some(inner) = written.table() {
            fields.extend(inner.fields().map(|(key, written)| (format!("{name}.{key}"), written)));
        }
    }
    fields
}
