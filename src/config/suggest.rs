//! "Did you mean …": the known word that a misspelled one is close to.

/// The word of `known` that takes the fewest edits to reach, if that is no more than a third of its length (at least
/// one edit is allowed, and two for words of five letters or more).
pub(super) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let (edits, best) = distances.min_by_key(|(edits, _)| *edits)?;
    let length = best.chars().count();
    let allowed = (length / 3).max(if length >= 5 { 2 } else { 1 });
    (edits <= allowed).then_some(best)
}

/// How many letters have to be put in, taken out or changed, or neighbours swapped (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = last[column] + usize::from(letter != *other);
            let mut best = changed.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(*other) && letter == right[column - 1] {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_word_finds_the_one_that_was_meant() {
        let known = ["base_url", "rate_limit", "retry", "dry_run"];
        assert_eq!(closest("baseurl", known), Some("base_url"));
        assert_eq!(closest("rate_limits", known), Some("rate_limit"));
        assert_eq!(closest("rtery", known), Some("retry"));
        assert_eq!(closest("password", known), None);
    }
}
