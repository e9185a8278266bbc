//! Inserting many rows with few statements. A `VALUES` list with bound values costs less than half of what a list in
//! JSON costs that SQLite takes apart again, and each statement costs a round trip to the connection's thread. The
//! lists come in a few lengths only, so that every statement stays prepared.

/// Rows of one statement: any number of rows is a sum of these.
const LENGTHS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// One statement in all lengths.
pub(super) struct Many([String; LENGTHS.len()]);

impl Many {
    /// `head VALUES row, row, … tail`. A row has a plain `?` for each bound value, in the order of binding.
    pub(super) fn new(head: &str, row: &str, tail: &str) -> Self {
        Self(LENGTHS.map(|length| format!("{head} VALUES {} {tail}", vec![row; length].join(", "))))
    }

    /// The rows in their order, cut into parts, each with the statement of its length.
    pub(super) fn parts<'s, 'r, T>(&'s self, mut rows: &'r [T]) -> impl Iterator<Item = (&'s str, &'r [T])> {
        LENGTHS.into_iter().zip(&self.0).flat_map(move |(length, sql)| {
            let (parts, rest) = rows.split_at(rows.len() - rows.len() % length);
            rows = rest;
            parts.chunks_exact(length).map(move |part| (sql.as_str(), part))
        })
    }

    /// The statement for one row.
    pub(super) fn one(&self) -> &str {
        &self.0[LENGTHS.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_number_are_all_there_in_their_order() {
        let many = Many::new("INSERT INTO numbers", "(?)", "RETURNING id");
        assert_eq!(many.one(), "INSERT INTO numbers VALUES (?) RETURNING id");
        for count in 0..=200 {
            let rows: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            for (sql, part) in many.parts(&rows) {
                assert_eq!(sql.matches('?').count(), part.len());
                seen.extend_from_slice(part);
            }
            assert_eq!(seen, rows);
        }
    }
}
