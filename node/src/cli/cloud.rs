//! `cloud`: a cloud truth on this machine, from the same binary.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use studiovault_cloud::{CloudConfig, Transport};
use studiovault_node::config::default_folder;

use super::failure::{Exit, Failure};
use super::output::say;
use super::run::{log_to_stderr, stop_signal};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Cloud {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)))]
    listen: SocketAddr,
    /// A name or address that clients use for it; stands in the certificate made at the first start
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Speak plain HTTP; only on a loopback address, behind a server that speaks TLS
    #[arg(long)]
    plain: bool,
}

/// `studiovault cloud`.
pub(crate) fn cloud(call: &Call, cloud: Cloud) -> Outcome {
    log_to_stderr();
    let config = CloudConfig {
        folder: cloud_folder(call)?,
        listen: cloud.listen,
        transport: if cloud.plain {
            Transport::PlainLoopback
        } else {
            Transport::Tls
        },
        names: cloud.hosts.clone(),
    };
    runtime()?.block_on(async {
        let stop = stop_signal()?;
        // Another provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = studiovault_cloud::serve(config)
            .await
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let scheme = if cloud.plain { "http" } else { "https" };
        let host = match cloud.hosts.first() {
            Some(name) => format!("{name}:{}", running.address.port()),
            None => running.address.to_string(),
        };
        let url = format!("{scheme}://{host}");
        if call.json {
            let line = json!({"ready": true, "url": url, "pin": running.pin, "token": running.admin_token});
            say!("{line}");
        } else {
            let pin = running.pin.as_deref();
            say!("The cloud truth runs. A studio is founded with it by\n");
            say!("  studiovault init --name NAME --studio-name STUDIO \\");
            say!("    --cloud {url} \\");
            if let Some(pin) = pin {
                say!("    --cloud-pin {pin} \\");
            }
            say!("    --cloud-token {}\n\nStop it with Ctrl-C.", running.admin_token);
        }
        stop.await;
        running.shutdown().await;
        Ok(())
    })
}

/// The named folder, else one beside the machine's.
fn cloud_folder(call: &Call) -> Result<PathBuf, Failure> {
    let beside = || Some(default_folder()?.with_file_name("studiovault-cloud"));
    call.data.clone().or_else(beside).ok_or_else(|| {
        let text = "the system does not say where a user's data belong\nName a folder with --data.";
        Failure::new(Exit::Usage, text)
    })
}
