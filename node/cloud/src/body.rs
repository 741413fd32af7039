//! Bodies of requests and answers: bounded, optionally compressed with zstd, in postcard or JSON.

use std::io::Read;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
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

/// The bytes of a body, inflated to at most 4 MiB.
pub fn inflate(headers: &HeaderMap, raw: Raw) -> Result<Bytes, Problem> {
    let bytes =
        raw.map_err(|_| Problem::too_large("a body over 1 MiB as sent, or one that was cut off"))?;
    match text(headers, header::CONTENT_ENCODING) {
        "" | "identity" => Ok(bytes),
        "zstd" => unpack(&bytes).map(Bytes::from),
        _ => Err(Problem::unsupported(
            "a body in an encoding other than zstd or identity",
        )),
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let bad = |_| Problem::malformed("a body that is not zstd");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(bad)?;
    decoder.window_log_max(WINDOW_LOG).map_err(bad)?;
    let mut inflated = Vec::new();
    let limit = limits::BATCH_BYTES as u64 + 1;
    decoder
        .take(limit)
        .read_to_end(&mut inflated)
        .map_err(bad)?;
    if inflated.len() > limits::BATCH_BYTES {
        return Err(Problem::too_large("a body over 4 MiB when inflated"));
    }
    Ok(inflated)
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
    let wanted = text(headers, header::ACCEPT_ENCODING)
        .split(',')
        .any(|word| word.split(';').next().unwrap_or_default().trim() == "zstd");
    let compressed = (wanted && bytes.len() >= WORTH_BYTES)
        .then(|| zstd::bulk::compress(&bytes, LEVEL).ok())
        .flatten();
    let encoded = compressed.is_some();
    let mut response = compressed.unwrap_or(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if encoded {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    response
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
