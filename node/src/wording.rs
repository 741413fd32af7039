//! How a sentence of ours that goes wrong is built: what happened, a semicolon, and what to do next.
//!
//! Every place that shows the two apart parts them here.

/// What happened, and what to do if the sentence says so.
pub fn parted(sentence: &str) -> (&str, Option<&str>) {
    match sentence.rsplit_once("; ") {
        Some((what, next_step)) => (what, Some(next_step)),
        None => (sentence, None),
    }
}

/// A next step as a sentence of its own.
pub fn sentence(next_step: &str) -> String {
    let mut letters = next_step.chars();
    let first = letters.next().map(char::to_uppercase);
    let sentence: String = first.into_iter().flatten().chain(letters).collect();
    match sentence.ends_with(['.', '!', '?']) {
        true => sentence,
        false => sentence + ".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_in_its_next_step() {
        assert_eq!(parted("a; b; c"), ("a; b", Some("c")));
        assert_eq!(parted("a"), ("a", None));
        assert_eq!(sentence("make room on the disk"), "Make room on the disk.");
        assert_eq!(sentence(""), ".");
    }
}
