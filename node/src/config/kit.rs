//! The recovery kit: what the founder prints and keeps away from the machines. The root key is in it and nowhere else.
//!
//! Everything that a machine needs to be of the studio follows from it, so a studio whose machines all burnt begins again here.

use std::fmt;
use std::str::FromStr;

use studiovault_protocol::cloud::EnrolAnswer;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Keyring, Role, SignedRecord};

use super::studio::{CloudAccess, Founder, StudioFile};
use super::{ConfigError, FOLDER_VERSION, Region, SecretBytes, check_name, random_bytes};

/// Letters and digits that are not mistaken for each other on paper (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes of the key line: studio, root seed, checksum.
const KEY_BYTES: usize = 16 + 32 + 4;

/// A recovery kit. Its `Debug` shows no key; its text does.
#[derive(Clone)]
pub struct Kit {
    /// Which studio.
    pub studio: StudioId,
    /// What people call it.
    pub name: String,
    /// Its time zone and currency.
    pub region: Region,
    /// The cloud truth, if there is one.
    pub cloud: Option<CloudAccess>,
    /// What the root key has signed with this kit so far; not part of its text.
    pub records: Vec<SignedRecord>,
    root_seed: SecretBytes,
}

/// A text that is no kit. The person's; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no recovery kit: {0}; type it again as it was printed, from `Studio:` to `Key:`")]
pub struct KitError(String);

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kit({}, key hidden)", self.studio)
    }
}

impl Kit {
    /// A new studio without members.
    pub fn found(founder: Founder) -> Result<Self, ConfigError> {
        check_name(&founder.name)?;
        Ok(Self {
            studio: StudioId::from_random(random_bytes()),
            name: founder.name,
            region: founder.region,
            cloud: founder.cloud,
            records: Vec::new(),
            root_seed: SecretBytes::random(),
        })
    }

    /// The root key.
    pub fn root_key(&self) -> SecretKey {
        SecretKey::from_seed(self.root_seed.0)
    }

    /// What a machine's folder holds of the studio.
    pub fn studio_file(&self) -> StudioFile {
        let derived = |what: &str| SecretBytes(blake3::derive_key(what, &self.root_seed.0));
        StudioFile {
            version: FOLDER_VERSION,
            studio: self.studio,
            name: self.name.clone(),
            region: self.region.clone(),
            root: self.root_key().public(),
            mesh_key: derived("studiovault mesh key v1"),
            earlier_keys: Vec::new(),
            rested_keys: Vec::new(),
            keyring: Keyring::default(),
            discovery_key: derived("studiovault discovery key v1"),
            cloud: self.cloud.clone(),
            records: self.records.clone(),
        }
    }

    /// Gives a device its place, signed with the root key.
    pub fn grant(&mut self, grant: Grant) {
        let record = SignedRecord::by_root(self.studio, grant, &self.root_key());
        self.records.push(record);
    }

    /// Admits the cloud truth as the member that enrolment told us of.
    pub fn admit_cloud(&mut self, answer: EnrolAnswer) {
        self.grant(cloud_grant(answer));
    }

    fn key_line(&self) -> String {
        let mut bytes = [&self.studio.0[..], &self.root_seed.0].concat();
        bytes.extend(&blake3::hash(&bytes).as_bytes()[..4]);
        let (mut text, mut held, mut bits) = (String::new(), 0u32, 0);
        for byte in bytes.iter().copied().chain([0]) {
            (held, bits) = (held << 8 | u32::from(byte), bits + 8);
            while bits >= 5 && text.len() < (KEY_BYTES * 8).div_ceil(5) {
                bits -= 5;
                text.push(char::from(DIGITS[(held >> bits & 31) as usize]));
            }
            held &= (1 << bits) - 1;
        }
        let groups: Vec<&str> = text
            .as_bytes()
            .chunks(5)
            .filter_map(|group| std::str::from_utf8(group).ok())
            .collect();
        groups.join("-")
    }
}

/// The place of a cloud truth.
pub fn cloud_grant(answer: EnrolAnswer) -> Grant {
    Grant {
        device: answer.device,
        key: answer.key,
        name: "cloud".to_owned(),
        role: Role::Cloud,
        priority: 0,
        gateway_preference: 0,
        version: 1,
    }
}

/// The kit as it is printed.
impl fmt::Display for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "StudioVault recovery kit. Keep it on paper, away from the machines: whoever has it is the studio."
        )?;
        writeln!(f, "Studio: {}", self.name)?;
        writeln!(f, "Time zone: {}", self.region.time_zone)?;
        writeln!(f, "Currency: {}", self.region.currency)?;
        if let Some(cloud) = &self.cloud {
            writeln!(f, "Cloud: {}", cloud.url)?;
            if let Some(pin) = &cloud.pin {
                writeln!(f, "Pin: {pin}")?;
            }
            writeln!(f, "Token: {}", cloud.token)?;
        }
        writeln!(f, "Key: {}", self.key_line())
    }
}

impl FromStr for Kit {
    type Err = KitError;
    fn from_str(text: &str) -> Result<Self, KitError> {
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(name));
            found.map(|rest| rest.trim().to_owned())
        };
        let needed = |name: &str| {
            line(name).ok_or_else(|| KitError(format!("the line `{name}` is missing")))
        };
        let (studio, root_seed) = read_key(&needed("Key:")?)?;
        let wrong = |what: &str| KitError(format!("the {what} cannot be read"));
        let region = Region {
            time_zone: needed("Time zone:")?
                .parse()
                .map_err(|_| wrong("time zone"))?,
            currency: needed("Currency:")?
                .parse()
                .map_err(|_| wrong("currency"))?,
        };
        let name = needed("Studio:")?;
        check_name(&name).map_err(|_| wrong("name of the studio"))?;
        let access = |url| {
            Ok::<_, KitError>(CloudAccess {
                url,
                pin: line("Pin:"),
                token: needed("Token:")?,
            })
        };
        Ok(Self {
            studio,
            name,
            region,
            cloud: line("Cloud:").map(access).transpose()?,
            records: Vec::new(),
            root_seed,
        })
    }
}

fn read_key(text: &str) -> Result<(StudioId, SecretBytes), KitError> {
    let wrong = |why: &str| KitError(format!("the key {why}"));
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let letter = match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let digit = DIGITS.iter().position(|known| char::from(*known) == letter);
        let digit = digit.ok_or_else(|| wrong(&format!("has a `{letter}`, which no key has")))?;
        (held, bits) = (held << 5 | digit as u32, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
        if bytes.len() > KEY_BYTES {
            return Err(wrong("is too long"));
        }
    }
    let (key, sum) = match bytes.split_at_checked(KEY_BYTES - 4) {
        Some((key, sum)) if sum.len() == 4 => (key, sum),
        _ => return Err(wrong("is too short")),
    };
    if blake3::hash(key).as_bytes()[..4] != *sum {
        return Err(wrong("has a letter that is wrong somewhere"));
    }
    let (mut studio, mut seed) = ([0; 16], [0; 32]);
    studio.copy_from_slice(&key[..16]);
    seed.copy_from_slice(&key[16..]);
    Ok((StudioId(studio), SecretBytes(seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_kit() -> Kit {
        let founder = Founder {
            name: "Estúdio Silva".into(),
            region: Region::default(),
            cloud: Some(CloudAccess {
                url: "https://cloud.example".into(),
                pin: Some("abc".into()),
                token: "sv_secret".into(),
            }),
        };
        Kit::found(founder).expect("a studio")
    }

    #[test]
    fn a_printed_kit_is_read_back_also_in_small_letters_with_blanks() {
        let kit = a_kit();
        let text = kit.to_string();
        let (start, key) = text.split_once("Key: ").expect("a key");
        for typed in [
            text.clone(),
            format!("{start}Key: {}", key.to_lowercase().replace('-', " ")),
        ] {
            let read: Kit = typed.parse().expect("reads");
            assert_eq!(read.studio, kit.studio);
            assert_eq!(read.root_key().public(), kit.root_key().public());
            assert_eq!(read.cloud, kit.cloud);
            assert_eq!(read.studio_file().mesh_key, kit.studio_file().mesh_key);
        }
    }

    #[test]
    fn a_kit_with_a_slip_says_which_line_is_wrong() {
        let text = a_kit().to_string();
        let at = text.find("Key: ").expect("a key") + 5;
        let other = if &text[at..=at] == "7" { "8" } else { "7" };
        let slip = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        for (bent, word) in [
            (slip, "wrong somewhere"),
            (text.replace("Key: ", "Key: U"), "which no key has"),
            (text[..at + 9].to_owned(), "too short"),
            (text.replace("Currency: ", "Money: "), "Currency:"),
            (String::new(), "Key:"),
        ] {
            let error = bent.parse::<Kit>().expect_err("refused").to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(!format!("{:?}", a_kit()).contains("sv_secret"));
    }
}
