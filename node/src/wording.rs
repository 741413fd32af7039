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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_in_its_next_step() {
        assert_eq!(parted("a; b; c"), ("a; b", Some("c")));
        assert_eq!(parted("a"), ("a", None));
    }
}
