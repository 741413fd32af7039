//! A small HTTP client over TLS that trusts one pin and nothing else, as a gateway does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use studiovault_protocol::cloud::{PROOF_HEADER, Proof, Prover, Target};
use studiovault_protocol::keys::SecretKey;

use crate::tls::pin_of;

/// Trusts the certificate of one pin; signatures are still checked.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if pin_of(certificate).as_deref() == Some(&self.pin[..]) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another pin".into()))
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, schemes)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, schemes)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A request in the making.
#[derive(Clone)]
pub struct Request {
    line: (String, String),
    head: String,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            line: (method.to_owned(), path.to_owned()),
            head: format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"),
            body: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Signed by a machine's key.
    pub fn proven(self, prover: Prover, nonce: &str, key: &SecretKey) -> Self {
        let target = Target {
            method: &self.line.0,
            path: &self.line.1,
        };
        let proof = Proof::new(prover, nonce.to_owned(), target, key).to_string();
        self.header(PROOF_HEADER, &proof)
    }

    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    pub fn body(self, media_type: &str, body: Vec<u8>) -> Self {
        Self {
            body,
            ..self.header("content-type", media_type)
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let head = format!("{}content-length: {}\r\n\r\n", self.head, self.body.len());
        [head.as_bytes(), &self.body].concat()
    }

    /// Over TLS, trusting `pin` only.
    pub fn send(&self, address: SocketAddr, pin: &str) -> Result<Answer, std::io::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Pinned {
            pin: pin.to_owned(),
            provider: provider.clone(),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        self.over(StreamOwned::new(connection, TcpStream::connect(address)?))
    }

    /// Without TLS.
    pub fn send_plain(&self, address: SocketAddr) -> Result<Answer, std::io::Error> {
        self.over(TcpStream::connect(address)?)
    }

    fn over(&self, mut stream: impl Read + Write) -> Result<Answer, std::io::Error> {
        stream.write_all(&self.bytes())?;
        stream.flush()?;
        let mut all = Vec::new();
        // A server may close without the last word of TLS; the length of the body tells whether it is whole.
        match stream.read_to_end(&mut all) {
            Err(error) if all.is_empty() => return Err(error),
            _ => {}
        }
        let end = all.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        Ok(Answer {
            status: head[9..12].parse().expect("a status"),
            body: all[end + 4..].to_vec(),
            head,
        })
    }
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn signed<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let body = if self.head.contains("content-encoding: zstd") {
            zstd::stream::decode_all(&self.body[..]).expect("zstd")
        } else {
            self.body.clone()
        };
        postcard::from_bytes(&body).expect("postcard")
    }
}
