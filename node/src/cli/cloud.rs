//! `cloud`: a cloud truth on this machine, from the same binary.

mod decide;
mod snapshot;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use studiovault_cloud::{BucketConfig, CloudConfig, IssuerConfig, Transport};
use studiovault_node::config::default_folder;

use super::failure::{Exit, Failure};
use super::output::say;
use super::run::{log_to_stderr, stop_signal};
use super::{Call, Outcome, runtime};

/// What is asked of a cloud truth that runs.
#[derive(Subcommand)]
enum Ask {
    #[command(flatten)]
    Decide(decide::Decide),
    /// Have a cloud truth make a snapshot of each studio now; `studiovault bootstrap` begins a machine from the newest one
    Snapshot(snapshot::Snapshot),
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cloud {
    #[command(subcommand)]
    ask: Option<Ask>,
    /// Where it listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)))]
    listen: SocketAddr,
    /// A name or address that clients use for it; stands in the certificate
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// A PostgreSQL that several servers share, as postgres://USER:PASSWORD@HOST/NAME; without it the folder has a database of its own
    #[arg(
        long,
        value_name = "URL",
        env = "STUDIOVAULT_CLOUD_DATABASE",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Before the start, move what the folder's own database holds into the one of --database, which must be empty
    #[arg(long, requires = "database")]
    move_in: bool,
    /// Speak plain HTTP; only on a loopback address, behind a server that speaks TLS
    #[arg(long)]
    plain: bool,
    /// Keep snapshots in a bucket over the S3 protocol, as s3://BUCKET or s3://BUCKET/FOLDER, instead of the folder; its keys and its region
    /// come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION
    #[arg(long, value_name = "URL", env = "STUDIOVAULT_CLOUD_BUCKET")]
    bucket: Option<String>,
    /// The bucket's server, if it is not Amazon's
    #[arg(long, value_name = "URL", requires = "bucket")]
    bucket_endpoint: Option<String>,
    /// An identity provider whose access tokens (JWT) are taken as well, and where machines sign in
    #[arg(long, value_name = "URL", requires_all = ["issuer_audience", "issuer_client"])]
    issuer: Option<String>,
    /// What its access tokens for this server name as their audience
    #[arg(long, value_name = "AUDIENCE", requires = "issuer")]
    issuer_audience: Option<String>,
    /// The public client that machines sign in as
    #[arg(long, value_name = "CLIENT", requires = "issuer")]
    issuer_client: Option<String>,
}

/// `studiovault cloud`.
pub(crate) fn cloud(call: &Call, mut cloud: Cloud) -> Outcome {
    match cloud.ask.take() {
        Some(Ask::Decide(decide)) => return decide::decide(call, decide),
        Some(Ask::Snapshot(asked)) => return snapshot::snapshot(call, asked),
        None => {}
    }
    let folder = cloud_folder(call)?;
    log_to_stderr();
    let config = CloudConfig {
        folder: folder.clone(),
        database: cloud.database.clone(),
        move_in: cloud.move_in,
        listen: cloud.listen,
        transport: if cloud.plain {
            Transport::PlainLoopback
        } else {
            Transport::Tls
        },
        names: names(&cloud),
        issuer: issuer(&cloud),
        bucket: bucket(&cloud),
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
        let pins = running.pin.as_ref().zip(running.backup_pin.as_ref());
        let pins = pins.map(|(pin, backup)| format!("{pin},{backup}"));
        decide::note_address(&folder, &near(scheme, running.address), pins.as_ref())?;
        if call.json {
            let line =
                json!({"ready": true, "url": url, "pin": pins, "token": running.admin_token});
            say!("{line}");
        } else {
            say!("The cloud truth runs. A studio is founded with it by\n");
            say!("  studiovault init --name NAME --studio-name STUDIO \\");
            say!("    --cloud {url} \\");
            if let Some(pins) = pins {
                say!("    --cloud-pin {pins} \\");
            }
            say!(
                "    --cloud-token {}\n\nStop it with Ctrl-C.",
                running.admin_token
            );
        }
        stop.await;
        running.shutdown().await;
        Ok(())
    })
}

/// Where commands on this machine reach it.
fn near(scheme: &str, address: SocketAddr) -> String {
    let port = address.port();
    match address.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://localhost:{port}"),
        _ => format!("{scheme}://{address}"),
    }
}

fn bucket(cloud: &Cloud) -> Option<BucketConfig> {
    Some(BucketConfig {
        url: cloud.bucket.clone()?,
        endpoint: cloud.bucket_endpoint.clone(),
    })
}

fn issuer(cloud: &Cloud) -> Option<IssuerConfig> {
    Some(IssuerConfig {
        url: cloud.issuer.clone()?,
        audience: cloud.issuer_audience.clone()?,
        client: cloud.issuer_client.clone()?,
    })
}

/// The names in the certificate: those given, and the address if it is a certain one.
fn names(cloud: &Cloud) -> Vec<String> {
    let mut names = cloud.hosts.clone();
    let address = cloud.listen.ip();
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names
}

/// The named folder, else one beside the machine's.
fn cloud_folder(call: &Call) -> Result<PathBuf, Failure> {
    let beside = || Some(default_folder()?.with_file_name("studiovault-cloud"));
    call.data.clone().or_else(beside).ok_or_else(|| {
        let text = "the system does not say where a user's data belong\nName a folder with --data.";
        Failure::new(Exit::Usage, text)
    })
}
