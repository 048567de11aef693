//! "Did you mean": the nearest known word, and how known words are listed.

/// The known word that a person most likely meant by `given`, if one is near enough.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    // A third of the letters wrong is still a slip; more is another word.
    let reach = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&given, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Words as a person lists them: `` `a`, `b` and `c` ``.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["db", "redis", "monitoring"];
        for (given, meant) in [
            ("redsi", Some("redis")),
            ("Monitorng", Some("monitoring")),
            ("dd", Some("db")),
            ("storage", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(given, known), meant, "{given}");
        }
    }

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
