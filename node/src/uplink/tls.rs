//! Trust in the cloud's certificate, TLS 1.2 or newer.
//!
//! The certificate must bear the name that is dialled, always. Pins that are in force decide alone: a key that is none of them is
//! refused whoever vouches for it, and a self-hosted cloud may sign for itself. Without pins, and once their last day is over, the
//! web's authorities decide. The handshake's signature is always checked, or a certificate would prove nothing.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::pins::PinSet;

/// Decides by pins while they hold, else as the web does.
#[derive(Debug)]
struct Verifier {
    pins: Option<PinSet>,
    web: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

/// A client configuration that trusts these pins, or else whom the system's authorities vouch for.
pub(super) fn of_system(pins: Option<PinSet>) -> Result<ClientConfig, Error> {
    if pins.as_ref().is_some_and(PinSet::is_open) {
        return trusting(pins, None);
    }
    let provider = Arc::new(ring::default_provider());
    match rustls_platform_verifier::Verifier::new(provider) {
        Ok(web) => trusting(pins, Some(Arc::new(web))),
        // The pins hold without it, until their last day.
        Err(_) if pins.is_some() => trusting(pins, None),
        Err(error) => Err(error),
    }
}

/// The same with other authorities.
pub(super) fn trusting(
    pins: Option<PinSet>,
    web: Option<Arc<dyn ServerCertVerifier>>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier {
        pins,
        web,
        provider: provider.clone(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_web = || match &self.web {
            Some(web) => {
                web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(Error::General("this system names no authorities".into())),
        };
        let Some(pins) = &self.pins else {
            return by_web();
        };
        if let Some(day) = pins.ended(now) {
            return by_web().map_err(|error| {
                Error::General(format!(
                    "the pins of the cloud's key ended with {day}, and without them: {error}"
                ))
            });
        }
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if certificate
            .verify_is_valid_for_subject_name(server_name)
            .is_err()
        {
            let expected = server_name.to_owned();
            let presented = Vec::new();
            let error = CertificateError::NotValidForNameContext {
                expected,
                presented,
            };
            return Err(Error::InvalidCertificate(error));
        }
        if pins.takes(&certificate.subject_public_key_info()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General(
                "the cloud's key is none of the pinned ones".into(),
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
