//! Bodies of requests and answers: bounded, compressed with zstd or gzip as both sides agree, in postcard or JSON.

use std::io::{Read, Write};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::cloud::MEDIA_TYPE;
use studiovault_protocol::limits;

use crate::problem::Problem;

/// Bytes of a request's body as it comes over the wire.
pub const WIRE_BYTES: usize = 1024 * 1024;
/// Answers below this many bytes are not worth compressing.
const WORTH_BYTES: usize = 1024;
/// The largest window that a compressed body may ask for, as a power of two: twice what may come out.
const WINDOW_LOG: u32 = 23;
/// The level at which answers are compressed.
const LEVEL: i32 = 1;

/// A request's body as axum hands it out.
pub type Raw = Result<Bytes, BytesRejection>;

/// The two forms of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Signed bundles and pages.
    Signed,
    /// Plain JSON.
    Plain,
}

/// The form that a request's body is in.
pub fn form_of(headers: &HeaderMap) -> Result<Form, Problem> {
    let named = text(headers, header::CONTENT_TYPE);
    match named.split(';').next().unwrap_or_default().trim() {
        MEDIA_TYPE => Ok(Form::Signed),
        "application/json" => Ok(Form::Plain),
        other => Err(Problem::unsupported(format!(
            "a body of type `{}`; read are {MEDIA_TYPE} and application/json",
            other.chars().take(80).collect::<String>()
        ))),
    }
}

/// A body must be JSON.
pub fn json_form(headers: &HeaderMap) -> Result<(), Problem> {
    match form_of(headers)? {
        Form::Plain => Ok(()),
        Form::Signed => Err(Problem::unsupported("this address takes application/json")),
    }
}

/// The bytes of a body, inflated to at most 4 MiB.
pub fn inflate(headers: &HeaderMap, raw: Raw) -> Result<Bytes, Problem> {
    let bytes =
        raw.map_err(|_| Problem::too_large("a body over 1 MiB as sent, or one that was cut off"))?;
    match text(headers, header::CONTENT_ENCODING) {
        "" | "identity" => Ok(bytes),
        "zstd" => {
            let bad = |_| Problem::malformed("a body that is not zstd");
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..]).map_err(bad)?;
            decoder.window_log_max(WINDOW_LOG).map_err(bad)?;
            unpack(decoder)
        }
        "gzip" | "x-gzip" => unpack(GzDecoder::new(&bytes[..])),
        _ => Err(Problem::unsupported(
            "a body in an encoding other than zstd, gzip or identity",
        )),
    }
}

fn unpack(decoder: impl Read) -> Result<Bytes, Problem> {
    let mut inflated = Vec::new();
    let limit = limits::BATCH_BYTES as u64 + 1;
    let read = decoder.take(limit).read_to_end(&mut inflated);
    read.map_err(|_| Problem::malformed("a body that is not in the encoding that it names"))?;
    if inflated.len() > limits::BATCH_BYTES {
        return Err(Problem::too_large("a body over 4 MiB when inflated"));
    }
    Ok(inflated.into())
}

/// Reads a postcard body without anything left over.
pub fn signed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Problem::malformed("a body that cannot be decoded")),
    }
}

/// Reads a JSON body.
pub fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::malformed(format!("a body that is not as expected: {error}")))
}

/// An answer in the signed form.
pub fn answer_signed<T: Serialize>(headers: &HeaderMap, answer: &T) -> Response {
    let bytes = postcard::to_stdvec(answer).expect("the protocol's types always encode");
    packed(headers, bytes, MEDIA_TYPE)
}

/// An answer in JSON.
pub fn answer_plain<T: Serialize>(headers: &HeaderMap, answer: &T) -> Response {
    let bytes = serde_json::to_vec(answer).expect("answers have text keys only");
    packed(headers, bytes, "application/json")
}

fn packed(headers: &HeaderMap, bytes: Vec<u8>, media_type: &'static str) -> Response {
    let wanted = Encoding::wanted(text(headers, header::ACCEPT_ENCODING));
    let compressed = wanted
        .filter(|_| bytes.len() >= WORTH_BYTES)
        .and_then(|encoding| Some((encoding, encoding.pack(&bytes)?)));
    let encoding = compressed.as_ref().map(|(encoding, _)| encoding.name());
    let body = compressed.map_or(bytes, |(_, packed)| packed);
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(name) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// How an answer is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    Zstd,
    Gzip,
}

impl Encoding {
    /// The best that the asker takes; `None`: as it is. A weight of 0 refuses.
    fn wanted(accepted: &str) -> Option<Self> {
        let weight = |name: &str| {
            let named = accepted.split(',').find_map(|part| {
                let (word, rest) = part.split_once(';').unwrap_or((part, ""));
                (word.trim().eq_ignore_ascii_case(name)).then_some(rest)
            })?;
            let given = named.trim().strip_prefix("q=");
            let weight = given.map_or(Ok(1.0), |digits| digits.trim().parse::<f32>());
            weight.ok().filter(|weight| *weight > 0.0)
        };
        match (weight("zstd"), weight("gzip")) {
            (Some(zstd), gzip) if gzip.is_none_or(|gzip| zstd >= gzip) => Some(Self::Zstd),
            (_, Some(_)) => Some(Self::Gzip),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn pack(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, LEVEL).ok(),
            Self::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(bytes).ok()?;
                packer.finish().ok()
            }
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asker_chooses_among_encodings_by_weight() {
        assert_eq!(Encoding::wanted(""), None);
        assert_eq!(Encoding::wanted("br, identity"), None);
        assert_eq!(Encoding::wanted("gzip, zstd"), Some(Encoding::Zstd));
        assert_eq!(Encoding::wanted("GZIP"), Some(Encoding::Gzip));
        assert_eq!(Encoding::wanted("zstd;q=0, gzip"), Some(Encoding::Gzip));
        assert_eq!(
            Encoding::wanted("zstd;q=0.5, gzip;q=0.9"),
            Some(Encoding::Gzip)
        );
        assert_eq!(Encoding::wanted("zstd;q=0, gzip;q=0"), None);
    }
}
