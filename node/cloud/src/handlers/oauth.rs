//! The two endpoints of RFC 8628 and what a person decides beside them. Errors of these two have OAuth's own form (RFC 6749, 5.2).

use std::collections::BTreeMap;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use form_urlencoded::parse;
use serde::Deserialize;
use serde_json::{Value, json};
use studiovault_protocol::cloud::{CARRY, PROOF_HEADER};

use super::access::{Asker, proven};
use super::{App, PREFIX};
use crate::body::{self, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::sign_in::{
    ACCESS_MS, CLIENT, CODE_MS, Decision, INTERVAL_S, NAME_BYTES, SignInError, Tokens, Wish,
};
use crate::tokens::{Grantee, Scope};

/// Bytes of a form.
const FORM_BYTES: usize = 8 * 1024;
/// How a device's code is exchanged.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What is wrong with a request, in OAuth's words, or as everywhere else.
pub enum Refusal {
    OAuth(&'static str, String),
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<SignInError> for Refusal {
    fn from(error: SignInError) -> Self {
        let word = match error {
            SignInError::Pending => "authorization_pending",
            SignInError::SlowDown => "slow_down",
            SignInError::Denied => "access_denied",
            SignInError::Expired => "expired_token",
            SignInError::Ended | SignInError::Reused => "invalid_grant",
            SignInError::TooMany => return Self::Problem(Problem::crowded(error.to_string())),
            SignInError::Store(error) => return Self::Problem(error.into()),
        };
        Self::OAuth(word, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error, detail) => {
                let body = json!({"error": error, "error_description": detail});
                unstored((StatusCode::BAD_REQUEST, Json(body)).into_response())
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// No cache keeps tokens.
fn unstored(mut response: Response) -> Response {
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}

fn wrong(detail: &str) -> Refusal {
    Refusal::OAuth("invalid_request", detail.into())
}

/// The parameters of a form; none may come twice.
struct Form(BTreeMap<String, String>);

impl Form {
    fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
            return Err(wrong("the body is not application/x-www-form-urlencoded"));
        }
        let mut form = BTreeMap::new();
        for (name, value) in parse(bytes) {
            // RFC 6749: without a value is as left out.
            if !value.is_empty() && form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(wrong("a parameter comes twice"));
            }
        }
        Ok(Self(form))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn client(&self) -> Result<(), Refusal> {
        if self.get("client_id") == Some(CLIENT) {
            return Ok(());
        }
        let text = format!("`client_id` is `{CLIENT}` here");
        Err(Refusal::OAuth("invalid_client", text))
    }

    fn wish(&self) -> Result<Wish, Refusal> {
        self.client()?;
        let studio = self.get("studio").and_then(|text| text.parse().ok());
        let studio = studio.ok_or_else(|| wrong("`studio` names the studio by its id"))?;
        let device = self.get("device").map(str::parse).transpose();
        let device = device.map_err(|_| wrong("`device` is no id of a machine"))?;
        let name = self.get("device_name").unwrap_or_default();
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(wrong("`device_name` takes up to 64 plain bytes"));
        }
        let scope = Scope::of_word(self.get("scope").unwrap_or(CARRY));
        let text = "`scope` is one of carry (for machines), sync and read";
        let scope = scope.ok_or_else(|| Refusal::OAuth("invalid_scope", text.into()))?;
        Ok(Wish {
            studio,
            device,
            name: shown(name),
            scope,
            proven: false,
        })
    }
}

/// A name as it is shown to whoever decides: nothing in it turns the text around it or cannot be seen.
fn shown(name: &str) -> String {
    let hidden = |c: &char| {
        matches!(
            u32::from(*c),
            0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF
                | 0xFFF9..=0xFFFB | 0xE0000..=0xE007F
        )
    };
    let name: String = name.chars().filter(|c| !hidden(c)).collect();
    match name.trim() {
        "" => "a program".to_owned(),
        name => name.to_owned(),
    }
}

/// Opens a code (RFC 8628, 3.1). A machine that signs its request needs no room among strangers.
pub async fn device(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, FORM_BYTES).await;
    let bytes = bytes.map_err(|_| wrong("the form is over 8 KiB, or was cut off"))?;
    let mut wish = Form::read(&parts.headers, &bytes)?.wish()?;
    if parts.headers.contains_key(PROOF_HEADER) {
        let claimed = Grantee {
            id: String::new(),
            studio: wish.studio,
            device: wish.device,
            scopes: vec![Scope::Carry],
        };
        match proven(&parts, &app, claimed).await {
            Ok(machine) => (wish.device, wish.proven) = (machine.device, machine.device.is_some()),
            // The roster here may be older than the machine: it asks like anybody else.
            Err(problem) if problem.is_of_a_stranger() => {}
            Err(problem) => return Err(problem.into()),
        }
    }
    let base = base(&parts.headers, app.scheme);
    let opened = app
        .run(move |truth| Ok(truth.open_code(&wish, wall_now())))
        .await??;
    let answer = json!({
        "device_code": opened.device,
        "user_code": opened.user,
        "verification_uri": format!("{base}{PREFIX}/oauth/device"),
        "expires_in": CODE_MS / 1000,
        "interval": INTERVAL_S,
    });
    Ok(unstored(Json(answer).into_response()))
}

/// Where the asker reached this server, as it says itself: only the asker sees it again.
fn base(headers: &HeaderMap, scheme: &str) -> String {
    let text = |name: header::HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let host: String = text(header::HOST)
        .chars()
        .filter(|c| plain(*c))
        .take(255)
        .collect();
    let forwarded = header::HeaderName::from_static("x-forwarded-proto");
    let scheme = if text(forwarded) == "https" {
        "https"
    } else {
        scheme
    };
    format!("{scheme}://{host}")
}

/// What somebody sees who opens the address that came with a code.
pub async fn page() -> Html<&'static str> {
    Html(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>StudioVault</title>\
        <h1>Sign in a machine</h1><p>Read the code on its screen to whoever runs this cloud truth. \
        They see what it asks for with</p><pre>studiovault cloud show CODE</pre>\
        <p>and approve it with</p><pre>studiovault cloud approve CODE</pre>\
        <p>or refuse it with</p><pre>studiovault cloud deny CODE</pre>\
        <p>A name proves nothing. Where no key of the studio has signed the request, it is approved with <code>--unproven</code> \
        alone, by whoever saw this very code on the machine's own screen.</p>",
    )
}

/// Gives tokens for a code or for a refresh token.
pub async fn token(
    State(app): State<App>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Response, Refusal> {
    let bytes = raw.map_err(|_| wrong("the form was cut off"))?;
    if bytes.len() > FORM_BYTES {
        return Err(wrong("the form is over 8 KiB"));
    }
    let form = Form::read(&headers, &bytes)?;
    form.client()?;
    let needed = |name: &str| {
        let value = form.get(name).map(str::to_owned);
        value.ok_or_else(|| wrong(&format!("`{name}` is missing")))
    };
    let given = match form.get("grant_type") {
        Some(DEVICE_GRANT) => {
            let code = needed("device_code")?;
            app.run(move |truth| Ok(truth.redeem_code(&code, wall_now())))
                .await??
        }
        Some("refresh_token") => {
            let token = needed("refresh_token")?;
            app.run(move |truth| Ok(truth.refresh(&token, wall_now())))
                .await??
        }
        Some(_) => {
            let text = "`grant_type` is the one of RFC 8628, or refresh_token";
            return Err(Refusal::OAuth("unsupported_grant_type", text.into()));
        }
        None => return Err(wrong("`grant_type` is missing")),
    };
    Ok(unstored(Json(answer(&given)).into_response()))
}

fn answer(tokens: &Tokens) -> Value {
    json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": ACCESS_MS / 1000,
        "refresh_token": tokens.refresh,
        "scope": tokens.scope.word(),
    })
}

/// A person's word on a code.
#[derive(Deserialize)]
pub struct Word {
    code: String,
    decision: Decision,
    /// Whoever decides has seen the code on the machine itself, which has not proved who it is.
    #[serde(default)]
    unproven: bool,
}

/// Which code is meant.
#[derive(Deserialize)]
pub struct Named {
    code: String,
}

/// What a code is for, for whoever is to decide.
pub async fn look(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Wish>, Problem> {
    asker.admin()?;
    let named: Named = body::plain(&body::inflate(&headers, raw)?)?;
    wished(&app, named.code).await.map(Json)
}

async fn wished(app: &App, code: String) -> Result<Wish, Problem> {
    let wished = app
        .run(move |truth| Ok(truth.wished(&code, wall_now())?))
        .await?;
    wished.ok_or_else(not_open)
}

fn not_open() -> Problem {
    Problem::not_found("this code is not open, or was decided already")
}

/// Approves or denies a code; whose it was.
pub async fn decide(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Wish>, Problem> {
    asker.admin()?;
    let word: Word = body::plain(&body::inflate(&headers, raw)?)?;
    if word.decision == Decision::Approve && !word.unproven {
        let wish = wished(&app, word.code.clone()).await?;
        if !wish.proven {
            return Err(Problem::unproven_wish());
        }
    }
    let decided = app
        .run(move |truth| Ok(truth.decide_code((&word.code, word.decision), wall_now())?))
        .await?;
    decided.map(Json).ok_or_else(not_open)
}
