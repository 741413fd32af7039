//! Ids derived from content: the same row of the same source is the same entity, on every machine and every day.

use studiovault_protocol::id::EntityId;

/// The id of what a source calls `key` within a type: a UUID of version 8 (RFC 9562), from BLAKE3.
pub(crate) fn entity_id(entity_type: &str, key: &[&str]) -> EntityId {
    let mut hasher = blake3::Hasher::new_derive_key("studiovault 2026 import entity id");
    for part in [&[entity_type][..], key].concat() {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    EntityId(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_type_and_every_part_of_the_key() {
        let id = entity_id("client", &["a", "b"]);
        assert_eq!(id, entity_id("client", &["a", "b"]));
        for other in [
            entity_id("project", &["a", "b"]),
            entity_id("client", &["ab", ""]),
            entity_id("client", &["b", "a"]),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(&id.to_string()[14..15], "8", "version 8");
    }
}
