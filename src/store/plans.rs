//! The plans of the statements that run for every webhook and every call: none may scan a table or sort.

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use crate::store::{accept, books, conflicts, contacts, lanes, open, rows, settle};

    const HOT: [(&str, &str); 18] = [
        ("accept::FIND_TAKEN", accept::FIND_TAKEN),
        ("books::SAVE", books::SAVE),
        ("conflicts::FIND_PARKED", conflicts::FIND_PARKED),
        ("contacts::LINK_OF", contacts::LINK_OF),
        ("contacts::LINKS_TO", contacts::LINKS_TO),
        ("contacts::LINKED_TO", contacts::LINKED_TO),
        ("lanes::NEXT_DUE", lanes::NEXT_DUE),
        ("lanes::FIND_DUE", lanes::FIND_DUE),
        ("lanes::TAKE", lanes::TAKE),
        ("lanes::TAKE_NEWEST_ROWS", lanes::TAKE_NEWEST_ROWS),
        ("lanes::MARK_LEASED", lanes::MARK_LEASED),
        ("lanes::FIND_WRITTEN", lanes::FIND_WRITTEN),
        ("lanes::RAN_OUT", lanes::RAN_OUT),
        ("rows::DROP_EMPTY_LANE", rows::DROP_EMPTY_LANE),
        ("rows::FIND_LINKS", rows::FIND_LINKS),
        ("settle::FENCE", settle::FENCE),
        ("settle::SETTLE_ROWS", settle::SETTLE_ROWS),
        ("settle::LEFT", settle::LEFT),
    ];

    #[tokio::test]
    async fn no_hot_statement_scans_a_table_or_sorts() {
        let directory = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&directory.path().join("plans.db")).await.unwrap();
        let mut faults = Vec::new();
        let many = [
            ("accept::INSERT", &*accept::INSERT),
            ("rows::UPSERT_LANES", &*rows::UPSERT_LANES),
            ("rows::INSERT_ROWS", &*rows::INSERT_ROWS),
        ];
        for (name, sql) in HOT.into_iter().chain(many.map(|(name, many)| (name, many.one()))) {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            for step in sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap() {
                let detail: String = step.get("detail");
                // json_each is the list that we pass in; `result` and `wanted` are names for it.
                let ours = ["json_each", "result", "wanted"].iter().any(|name| detail.contains(name));
                if (detail.starts_with("SCAN") && !ours) || detail.contains("TEMP B-TREE") {
                    faults.push(format!("{name}: {detail}"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
