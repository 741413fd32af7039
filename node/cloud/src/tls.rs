//! The server's certificate: made once by itself, kept in the folder, known to clients by its pin.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::error::CloudError;
use crate::secrets;

/// Names that every certificate has.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Beside a damaged file.
const HINT: &str = ", or delete cert.pem and cert-key.pem to have new ones made (clients must then take the new pin)";

/// What the server shows and what clients pin.
pub struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// Hexadecimal SHA-256 of the certificate's SubjectPublicKeyInfo.
    pub pin: String,
}

/// Reads the folder's certificate, or makes one for `names`.
pub fn load_or_create(folder: &Path, names: &[String]) -> Result<Identity, CloudError> {
    // Another part of the process may have installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("cert-key.pem"));
    if !certificate.exists() || !key.exists() {
        make(&certificate, &key, names)?;
    }
    let chain = read(&certificate, |text| {
        CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()
    })?;
    let private = read(&key, PrivateKeyDer::from_pem_slice)?;
    let damaged = |detail: String| CloudError::Damaged {
        path: certificate.clone(),
        detail,
        hint: HINT,
    };
    let leaf = chain
        .first()
        .ok_or_else(|| damaged("no certificate in it".into()))?;
    let pin = pin_of(leaf).ok_or_else(|| damaged("not a certificate".into()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| damaged(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity {
        config: Arc::new(config),
        pin,
    })
}

/// The pin of a certificate; `None` if it is none.
pub fn pin_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(secrets::hex(&Sha256::digest(
        parsed.subject_public_key_info(),
    )))
}

fn make(certificate: &Path, key: &Path, names: &[String]) -> Result<(), CloudError> {
    let failed = |error: rcgen::Error| CloudError::Tls(error.to_string());
    let mut all: Vec<String> = OWN_NAMES.map(str::to_owned).into();
    all.extend(
        names
            .iter()
            .filter(|name| !OWN_NAMES.contains(&name.as_str()))
            .cloned(),
    );
    let pair = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = rcgen::CertificateParams::new(all).map_err(failed)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "StudioVault cloud truth");
    let made = params.self_signed(&pair).map_err(failed)?;
    // The key first: a certificate without its key would be worse than none.
    secrets::create(key, &pair.serialize_pem())?;
    secrets::create(certificate, &made.pem())
}

fn read<T, E: std::fmt::Display>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, CloudError> {
    let text = fs::read(path).map_err(|source| CloudError::Folder {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|error| CloudError::Damaged {
        path: path.to_owned(),
        detail: error.to_string(),
        hint: HINT,
    })
}
