//! The server's certificate: made once by itself, kept in the folder, known to clients by its pin.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::PublicKeyData as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
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
    /// That of the key which takes its place if it is ever lost or stolen.
    pub backup_pin: String,
}

/// Reads the folder's certificate, or makes one for `names`.
pub fn load_or_create(folder: &Path, names: &[String]) -> Result<Identity, CloudError> {
    // Another part of the process may have installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("cert-key.pem"));
    prepare(&certificate, &key, names)?;
    let backup_pin = backup(&folder.join("backup-key.pem"))?;
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
        backup_pin,
    })
}

/// The pin of a certificate; `None` if it is none.
pub fn pin_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(secrets::hex(&Sha256::digest(
        parsed.subject_public_key_info(),
    )))
}

/// Makes the certificate anew if there is none, or if it is our own and lacks a name. The key stays, and so does its pin.
fn prepare(certificate: &Path, key: &Path, names: &[String]) -> Result<(), CloudError> {
    let is_whole = certificate.exists() && key.exists();
    if is_whole && !lacks(certificate, names)? {
        return Ok(());
    }
    let failed = |error: rcgen::Error| CloudError::Tls(error.to_string());
    let mut all: Vec<String> = OWN_NAMES.map(str::to_owned).into();
    all.extend(
        names
            .iter()
            .filter(|name| !OWN_NAMES.contains(&name.as_str()))
            .cloned(),
    );
    let pair = key_pair(key)?;
    let mut params = rcgen::CertificateParams::new(all).map_err(failed)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "StudioVault cloud truth");
    let made = params.self_signed(&pair).map_err(failed)?;
    secrets::create(certificate, &made.pem())
}

/// Whether a certificate that signs for itself lacks one of these names. One that others signed is its owner's business.
fn lacks(certificate: &Path, names: &[String]) -> Result<bool, CloudError> {
    let leaf = read(certificate, CertificateDer::from_pem_slice)?;
    // What is wrong with it is told where it is put to use.
    let Ok(parsed) = webpki::EndEntityCert::try_from(&leaf) else {
        return Ok(false);
    };
    let bears = |name: &String| {
        let name = ServerName::try_from(name.as_str());
        name.is_ok_and(|name| parsed.verify_is_valid_for_subject_name(&name).is_ok())
    };
    Ok(parsed.issuer() == parsed.subject() && !names.iter().all(bears))
}

/// The key in a file, made if there is none.
fn key_pair(path: &Path) -> Result<rcgen::KeyPair, CloudError> {
    if !path.exists() {
        let pair =
            rcgen::KeyPair::generate().map_err(|error| CloudError::Tls(error.to_string()))?;
        secrets::create(path, &pair.serialize_pem())?;
    }
    read(path, |text| {
        rcgen::KeyPair::from_pem(&String::from_utf8_lossy(text))
    })
}

/// The pin of the key that lies in reserve; made with the first certificate. To change over, put it in the place of `cert-key.pem`
/// and delete `cert.pem`: who pinned both goes on.
fn backup(path: &Path) -> Result<String, CloudError> {
    let key = key_pair(path)?.subject_public_key_info();
    Ok(secrets::hex(&Sha256::digest(key)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backup_key_takes_the_place_of_the_first_under_its_own_pin() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = load_or_create(folder.path(), &[]).expect("is made");
        assert_ne!(first.pin, first.backup_pin);
        let path = |name| folder.path().join(name);
        fs::rename(path("backup-key.pem"), path("cert-key.pem")).expect("moves");
        fs::remove_file(path("cert.pem")).expect("goes");
        let second = load_or_create(folder.path(), &[]).expect("is made");
        assert_eq!(second.pin, first.backup_pin);
        assert_ne!(second.backup_pin, first.pin);
    }

    #[test]
    fn a_new_name_comes_into_the_certificate_and_the_pin_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = load_or_create(folder.path(), &[]).expect("is made");
        let path = folder.path().join("cert.pem");
        let before = fs::read(&path).expect("reads");
        let names = ["cloud.example".to_owned(), "192.0.2.7".to_owned()];
        assert!(lacks(&path, &names).expect("reads"));
        let second = load_or_create(folder.path(), &names).expect("is made");
        assert_eq!(
            (second.pin, second.backup_pin),
            (first.pin, first.backup_pin)
        );
        assert!(!lacks(&path, &names).expect("reads"));
        let renewed = fs::read(&path).expect("reads");
        assert_ne!(renewed, before);
        load_or_create(folder.path(), &names[..1]).expect("is loaded");
        assert_eq!(fs::read(&path).expect("reads"), renewed, "nothing lacks");
    }
}
