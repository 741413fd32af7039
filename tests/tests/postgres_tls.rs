//! The way from a cloud truth to its PostgreSQL: encrypted, and to nobody but the server that was meant.
#![cfg(target_os = "linux")]

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use studiovault_lab::cluster::Cluster;
use studiovault_lab::conformance::Client;
use studiovault_lab::processes::{Running, say_in};

/// Of this machine, and of nobody else's test.
fn an_address() -> String {
    let [low, high, ..] = std::process::id().to_le_bytes();
    format!("127.77.{high}.{}", low.clamp(1, 254))
}

fn an_authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut of_ca = CertificateParams::new(Vec::new()).expect("a certificate");
    of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(of_ca, key).expect("signs")
}

#[test]
fn the_way_to_postgresql_is_encrypted_and_another_server_in_its_place_is_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let address = an_address();
    let (authority, stranger) = (an_authority(), an_authority());
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![address.clone()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("signs");
    let cluster = Cluster::over_tls(&address, (&certificate.pem(), &key.serialize_pem()));
    let name = cluster.named_database();
    let (known, unknown) = (
        place.path().join("known.pem"),
        place.path().join("other.pem"),
    );
    fs::write(&known, authority.pem()).expect("writes");
    fs::write(&unknown, stranger.pem()).expect("writes");

    let by_address = format!("postgresql://truth@{address}/{name}?sslmode=require");
    let usual = ["cloud", "--plain", "--listen", "127.0.0.1:0", "--database"];
    let arguments = |database| [&usual[..], &[database]].concat();
    let folder = place.path().join("truth");
    let trusting = [("SSL_CERT_FILE", known.as_path())];
    let server = Running::start_in(&folder, &arguments(&by_address), &trusting);
    let text = |name: &str| server.ready[name].as_str().expect("text").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(Client::enrol(&text("url"), &text("token")));
    client.expect("works over it");
    let sql = "SELECT bool_and(ssl), min(version) >= 'TLSv1.2' FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'studiovault cloud'";
    assert_eq!(cluster.run(&name, sql), "t|t");
    server.stop();

    // Signed by somebody whom the system does not trust; of another name; and no TLS at all.
    let other_name =
        format!("postgresql://truth@localhost/{name}?hostaddr={address}&sslmode=require");
    let bare = format!("postgresql://truth@{address}/{name}?sslmode=disable");
    let distrusting = [("SSL_CERT_FILE", unknown.as_path())];
    let cases = [
        (&by_address, distrusting),
        (&other_name, trusting),
        (&bare, trusting),
    ];
    for (database, variables) in cases {
        let said = say_in(&folder, &arguments(database), &variables);
        assert_eq!(said.code, 1, "{database}: {said:?}");
        // After what TLS itself logs, if it does.
        let told = said
            .error
            .lines()
            .any(|line| line.starts_with("the database "));
        assert!(told, "{database}: {said:?}");
    }
}
