//! What this node says of itself on the network, and how a member's word is told from a stranger's.
//!
//! Invariant: nothing announced names the machine, the person or the studio, and nothing outlives the run but the port, where the
//! machine still has the address of then: peers that remember both need it. The instance label is the
//! nonce itself, so a copied tag is good for the copied label only and cannot fill the table with inventions.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the nonce: 32 hexadecimal characters as a label, where DNS allows 63.
const NONCE_BYTES: usize = 16;

/// Bytes of the tag: enough that a stranger gets no dial out of us by guessing.
const TAG_BYTES: usize = 8;

/// Layout of the text record.
const VERSION: &str = "1";

/// Our own names for this run.
pub(super) struct Announcement {
    instance: String,
    tag: String,
}

impl Announcement {
    pub(super) fn random(key: &[u8; 32]) -> Result<Self, getrandom::Error> {
        let nonce = random_bytes()?;
        Ok(Self {
            instance: hex(&nonce),
            tag: hex(&tag(key, &nonce).finalize().into_bytes()[..TAG_BYTES]),
        })
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// A host name unrelated to the machine's and to anything else announced. Never the machine's own: two machines of
    /// the same name would resolve to each other's addresses until one is renamed.
    pub(super) fn host() -> Result<String, getrandom::Error> {
        Ok(format!("{}.local.", hex(&random_bytes()?)))
    }

    /// The text record: layout version, nonce, tag.
    pub(super) fn text(&self) -> [(&'static str, &str); 3] {
        [("v", VERSION), ("n", &self.instance), ("t", &self.tag)]
    }
}

/// Whether a member of the studio announced `instance`.
pub(super) fn is_genuine(key: &[u8; 32], instance: &str, nonce: &str, claimed: &str) -> bool {
    let (Some(nonce_bytes), Some(claimed)) = (
        bytes_of::<NONCE_BYTES>(nonce),
        bytes_of::<TAG_BYTES>(claimed),
    ) else {
        return false;
    };
    instance == nonce
        && tag(key, &nonce_bytes)
            .verify_truncated_left(&claimed)
            .is_ok()
}

fn tag(key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(nonce);
    mac
}

fn random_bytes() -> Result<[u8; NONCE_BYTES], getrandom::Error> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exactly `N` bytes in lower-case hexadecimal.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [3; 32];

    fn announced() -> Announcement {
        Announcement::random(&KEY).expect("random numbers")
    }

    #[test]
    fn a_members_announcement_is_recognised() {
        let own = announced();
        assert!(is_genuine(&KEY, own.instance(), own.instance(), &own.tag));
    }

    #[test]
    fn another_studios_announcement_is_not() {
        let own = announced();
        let other = [4; 32];
        assert!(!is_genuine(
            &other,
            own.instance(),
            own.instance(),
            &own.tag
        ));
    }

    #[test]
    fn a_copied_tag_is_worth_nothing_under_another_name() {
        let (own, copy) = (announced(), announced());
        assert!(!is_genuine(&KEY, copy.instance(), own.instance(), &own.tag));
        assert!(!is_genuine(
            &KEY,
            copy.instance(),
            copy.instance(),
            &own.tag
        ));
    }

    #[test]
    fn malformed_records_are_strangers() {
        let own = announced();
        let name = own.instance();
        let upper = own.tag.to_uppercase();
        let longer = format!("{}00", own.tag);
        for bad in ["", "zz", "é", "1234567890abcdeg", &longer, &own.tag[..14]] {
            assert!(!is_genuine(&KEY, name, name, bad), "{bad}");
        }
        assert!(upper == own.tag || !is_genuine(&KEY, name, name, &upper));
        assert!(!is_genuine(&KEY, "", "", &own.tag));
    }

    #[test]
    fn the_tag_is_the_head_of_hmac_sha256() {
        // HMAC-SHA256(key = 32 bytes of 0x03, message = bytes 00..0f).
        let nonce: [u8; NONCE_BYTES] = std::array::from_fn(|i| u8::try_from(i).expect("small"));
        let expected = "3aa7793bbfe5c983";
        assert_eq!(
            hex(&tag(&KEY, &nonce).finalize().into_bytes()[..TAG_BYTES]),
            expected
        );
    }

    #[test]
    fn two_runs_share_no_name() {
        let (first, second) = (announced(), announced());
        assert_ne!(first.instance(), second.instance());
        let host = Announcement::host().expect("random numbers");
        assert!(!host.contains(first.instance()));
        assert!(first.instance().len() <= 63);
    }
}
