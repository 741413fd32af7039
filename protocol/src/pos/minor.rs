//! How small the smallest part of a currency is.
//!
//! Amounts are whole numbers of that part, whatever their field is called: `amount_cents` of a sale in yen counts yen.

/// Currencies without a part.
const WHOLE: [&str; 17] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
];
/// Currencies whose part is a thousandth.
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// How many digits of an amount stand behind the point, by the letters of ISO 4217; two where nothing else is known.
pub fn minor_digits(currency: &str) -> usize {
    if WHOLE.contains(&currency) {
        0
    } else if THOUSANDTHS.contains(&currency) {
        3
    } else {
        2
    }
}
