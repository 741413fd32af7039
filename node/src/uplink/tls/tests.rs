//! Every certificate that a false or a changed cloud could show, over real handshakes of both versions, with the outcome of each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};

use super::*;

const NAME: &str = "cloud.example";

/// What a server shows: a certificate, and the key that it signs with.
struct Shown {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// An authority of the web.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs")
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("params")
}

fn self_signed(name: &str, key: KeyPair) -> Shown {
    let made = params(name).self_signed(&key).expect("signs");
    let certificate = made.der().clone();
    Shown { certificate, key }
}

fn vouched(params: CertificateParams, by: &CertifiedIssuer<'_, KeyPair>) -> Shown {
    let key = KeyPair::generate().expect("a key");
    let made = params.signed_by(&key, by).expect("signs");
    let certificate = made.der().clone();
    Shown { certificate, key }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn copy(key: &KeyPair) -> KeyPair {
    KeyPair::from_pem(&key.serialize_pem()).expect("a key")
}

fn pin(key: &KeyPair) -> String {
    let digest = Sha256::digest(key.subject_public_key_info());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A set of these keys' pins, with its last day.
fn pins(keys: [&KeyPair; 2], until: &str) -> Option<PinSet> {
    let text = format!("{},{}{until}", pin(keys[0]), pin(keys[1]));
    Some(text.parse().expect("a set"))
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn server(shown: &Shown, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let der = PrivateKeyDer::try_from(shown.key.serialize_der()).expect("a key");
    let signing = rustls::crypto::ring::sign::any_supported_type(&der).expect("a key");
    // Unlike the usual way in, this one does not ask whether certificate and key belong together.
    let shown = CertifiedKey::new(vec![shown.certificate.clone()], signing);
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(shown))))
}

/// Dials `name` where somebody answers as `answer` does: the first byte of the cloud, or why there is none.
fn dial(
    config: ClientConfig,
    name: &str,
    answer: impl FnOnce(TcpStream) + Send + 'static,
) -> Result<u8, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listens");
    let address = listener.local_addr().expect("an address");
    let serving = std::thread::spawn(move || answer(listener.accept().expect("accepts").0));
    let stream = TcpStream::connect(address).expect("connects");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a timeout");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, stream);
    let mut byte = [0];
    let asked = stream
        .write_all(b"token")
        .and_then(|()| stream.read_exact(&mut byte));
    drop(stream);
    serving.join().expect("the server ends");
    asked.map(|()| byte[0]).map_err(|error| error.to_string())
}

/// What comes of a client with these pins that dials [`NAME`] and is shown this, in TLS 1.2 and in 1.3.
fn outcome(
    pins: Option<PinSet>,
    shown: &Shown,
    by: &CertifiedIssuer<'_, KeyPair>,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(by.der().clone()).expect("a root");
    let provider = Arc::new(ring::default_provider());
    let web = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let web = web.expect("a verifier");
    let outcomes = [&TLS12, &TLS13].map(|version| {
        let config = trusting(pins.clone(), Some(web.clone())).expect("a client");
        let server = Arc::new(server(shown, version));
        dial(config, NAME, move |stream| {
            let connection = ServerConnection::new(server).expect("a server");
            let mut stream = StreamOwned::new(connection, stream);
            let mut token = [0; 5];
            // A client that does not trust us says no word.
            if stream.read_exact(&mut token).is_ok() {
                stream.write_all(b"!").expect("answers");
            }
        })
    });
    match outcomes {
        [Ok(b'!'), Ok(b'!')] => Ok(()),
        [Err(first), Err(second)] => {
            // Both name the second in which they looked.
            let timeless = |words: &str| words.replace(|c: char| c.is_ascii_digit(), "");
            assert_eq!(timeless(&first), timeless(&second), "the versions disagree");
            Err(first)
        }
        other => panic!("the versions disagree: {other:?}"),
    }
}

/// Everybody who could answer.
struct Cast {
    web: CertifiedIssuer<'static, KeyPair>,
    first: KeyPair,
    reserve: KeyPair,
    strange: KeyPair,
    /// Vouched for by the web, for the right name, for another one, and long ago.
    valid: Shown,
    misnamed: Shown,
    old: Shown,
    /// Signed by the cloud's own key, by its reserve, and for another name.
    own: Shown,
    own_reserve: Shown,
    own_misnamed: Shown,
}

impl Cast {
    fn new() -> Self {
        let web = authority("Web");
        let (first, reserve) = (key(), key());
        let mut old = params(NAME);
        old.not_before = rcgen::date_time_ymd(2001, 1, 1);
        old.not_after = rcgen::date_time_ymd(2002, 1, 1);
        Self {
            valid: vouched(params(NAME), &web),
            misnamed: vouched(params("evil.example"), &web),
            old: vouched(old, &web),
            own: self_signed(NAME, copy(&first)),
            own_reserve: self_signed(NAME, copy(&reserve)),
            own_misnamed: self_signed("evil.example", copy(&first)),
            strange: key(),
            web,
            first,
            reserve,
        }
    }

    /// A certificate in the hands of somebody who lacks its key.
    fn copied(&self, of: &Shown) -> Shown {
        Shown {
            certificate: of.certificate.clone(),
            key: copy(&self.strange),
        }
    }

    /// The pins of a self-hosted cloud, and of one that the web vouches for.
    fn own_pins(&self, until: &str) -> Option<PinSet> {
        pins([&self.first, &self.reserve], until)
    }

    fn web_pins(&self, until: &str) -> Option<PinSet> {
        pins([&self.strange, &self.valid.key], until)
    }

    /// Every row ends as it says: taken, or refused in these words.
    fn ends(&self, rows: &[(&str, Option<PinSet>, &Shown, &str)]) {
        for (what, pins, shown, words) in rows {
            let outcome = outcome(pins.clone(), shown, &self.web);
            match &outcome {
                Ok(()) if *words == TAKEN => {}
                Err(why) if why.contains(words) => {}
                _ => panic!("{what}: {outcome:?}, and wanted is {words:?}"),
            }
        }
    }
}

const TAKEN: &str = "taken";
/// In force, and over.
const HELD: &str = ";9999-01-01";
const OVER: &str = ";2001-01-01";

#[test]
fn without_pins_and_after_their_last_day_the_webs_authorities_decide() {
    let cast = Cast::new();
    let other = vouched(params(NAME), &authority("Nobody"));
    let copied = cast.copied(&cast.valid);
    let ended = "ended with 2001-01-01";
    cast.ends(&[
        ("the web vouches", None, &cast.valid, TAKEN),
        ("wrong name", None, &cast.misnamed, "not valid for name"),
        ("an authority nobody knows", None, &other, "UnknownIssuer"),
        (
            "signed by itself",
            None,
            &cast.own,
            "invalid peer certificate",
        ),
        ("out of date", None, &cast.old, "expired"),
        ("without its key", None, &copied, "BadSignature"),
        (
            "ended, signed by itself",
            cast.own_pins(OVER),
            &cast.own,
            ended,
        ),
        (
            "ended, a valid chain",
            cast.own_pins(OVER),
            &cast.valid,
            TAKEN,
        ),
        (
            "ended, wrong name",
            cast.own_pins(OVER),
            &cast.misnamed,
            ended,
        ),
        ("ended, out of date", cast.web_pins(OVER), &cast.old, ended),
        (
            "ended, without its key",
            cast.web_pins(OVER),
            &copied,
            "BadSignature",
        ),
    ]);
}

#[test]
fn pins_in_force_take_their_keys_alone_under_the_right_name_and_signature() {
    let cast = Cast::new();
    let copied = cast.copied(&cast.own);
    let wrong = pins([&cast.strange, &cast.reserve], "");
    let none = "none of the pinned ones";
    cast.ends(&[
        ("the pinned key", cast.own_pins(""), &cast.own, TAKEN),
        ("in its time", cast.own_pins(HELD), &cast.own, TAKEN),
        (
            "the backup key",
            cast.own_pins(""),
            &cast.own_reserve,
            TAKEN,
        ),
        (
            "a valid chain and its pin",
            cast.web_pins(HELD),
            &cast.valid,
            TAKEN,
        ),
        (
            "wrong name",
            cast.own_pins(""),
            &cast.own_misnamed,
            "not valid for name",
        ),
        ("wrong pin", wrong, &cast.own, none),
        (
            "a valid chain, wrong pin",
            cast.own_pins(""),
            &cast.valid,
            none,
        ),
        (
            "a valid chain, wrong pin, in its time",
            cast.own_pins(HELD),
            &cast.valid,
            none,
        ),
        (
            "without its key",
            cast.own_pins(""),
            &copied,
            "BadSignature",
        ),
    ]);
}

#[test]
fn a_cloud_that_speaks_no_more_than_tls_1_1_hears_no_token() {
    let config = trusting(pins([&key(), &key()], ""), None).expect("a client");
    let refused = dial(config, NAME, |mut stream| {
        let mut hello = vec![0; 5];
        stream.read_exact(&mut hello).expect("a record");
        hello.resize(usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
        stream.read_exact(&mut hello).expect("the hello");
        assert!(!hello.windows(5).any(|part| part == b"token"));
        // ServerHello of TLS 1.1: random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        let mut answer = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        answer.extend([7; 32]);
        answer.extend([0, 0, 0x2f, 0]);
        stream.write_all(&answer).expect("answers");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        // An alert that closes, and nothing else.
        assert_eq!((rest[0], rest[5]), (21, 2), "{rest:?}");
        assert!(rest.len() <= 7, "{rest:?}");
    });
    let words = refused.expect_err("is refused");
    assert!(words.contains("peer is incompatible"), "{words}");
}
