//! The index keeps chains whole and waits for what was seen.
