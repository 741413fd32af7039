//! What happened, as lines for a person and as one hash for comparing two runs.

/// The trace of one run.
pub struct Trace {
    hasher: blake3::Hasher,
    is_shown: bool,
    /// Lines so far.
    pub lines: u64,
    /// Frames that were put on their way, and their bytes.
    pub carried: (u64, u64),
}

impl Trace {
    /// An empty trace; shown on standard output as it grows, if asked for.
    pub(crate) fn new(is_shown: bool) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            is_shown,
            lines: 0,
            carried: (0, 0),
        }
    }

    /// Notes something that happened at a virtual time. `more` goes into the hash only.
    pub fn note(&mut self, now: u64, what: std::fmt::Arguments<'_>, more: &[u8]) {
        self.lines += 1;
        self.hasher.update(&now.to_le_bytes());
        self.hasher.update(what.to_string().as_bytes());
        self.hasher.update(more);
        if self.is_shown {
            println!("{:>9}.{:03}  {what}", now / 1000, now % 1000);
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex()[..16].to_owned()
    }
}
