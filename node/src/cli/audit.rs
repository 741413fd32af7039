//! `audit`: what was done to the studio at this machine, the newest last.

use clap::Args;
use studiovault_protocol::api::AuditPage;

use super::client::escaped;
use super::output::{moment, say};
use super::read::show;
use super::{Call, Outcome};

#[derive(Args)]
pub(crate) struct Audit {
    /// Only this kind: bootstrap, pairing, role, revocation, policy, resolution, discard, crown, sign-in, export, network
    #[arg(long)]
    kind: Option<String>,
    /// Lines at most, the newest
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// `studiovault audit`.
pub(crate) fn audit(call: &Call, asked: Audit) -> Outcome {
    let mut path = format!("/audit?limit={}", asked.limit);
    if let Some(kind) = asked.kind {
        path += &format!("&kind={}", escaped(&kind));
    }
    show(call, &path, |page: &AuditPage| {
        for entry in page.audit.iter().rev() {
            let by = [entry.by.as_deref().unwrap_or(""), &entry.actor];
            let by: Vec<&str> = by.into_iter().filter(|name| !name.is_empty()).collect();
            let by = if by.is_empty() {
                String::new()
            } else {
                format!("  ({})", by.join(", "))
            };
            say!(
                "{}  {:<10}  {}{by}",
                moment(entry.at),
                entry.kind,
                entry.what
            );
        }
        if page.audit.is_empty() {
            say!("nothing of that kind was done at this machine");
        }
    })
}
