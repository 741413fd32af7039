//! Randomness for ids and nonces: the operating system's, or a simulation's seed.

/// Where random bytes come from.
#[derive(Debug, Clone)]
pub enum Random {
    /// The operating system.
    System,
    /// A seed: the same bytes again and again, for the simulator.
    Seeded(Box<blake3::OutputReader>),
}

impl Random {
    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        Self::Seeded(Box::new(hasher.finalize_xof()))
    }

    /// Draws `N` bytes.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => {
                getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
            }
            Self::Seeded(reader) => reader.fill(&mut bytes),
        }
        bytes
    }

    /// Draws a number.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.draw())
    }
}
