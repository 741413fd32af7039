//! Judges a cloud truth by its address: ours, somebody's own, or a Worker. Ends with 1 if a claim of the contract fails.

use clap::Parser;
use studiovault_lab::conformance;

#[derive(Parser)]
#[command(about = "Asks a cloud truth whether it keeps the contract")]
struct Arguments {
    /// Where it answers, without /v1
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// A token that may enrol studios and make tokens
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    admin_token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let findings = conformance::run(&arguments.base_url, &arguments.admin_token).await?;
    let mut faults = 0;
    for finding in &findings {
        match &finding.fault {
            None => println!("ok      {}", finding.claim),
            Some(fault) => {
                faults += 1;
                println!("FAILED  {}: {fault}", finding.claim);
            }
        }
    }
    println!("{} passed, {faults} failed", findings.len() - faults);
    std::process::exit(i32::from(faults > 0));
}
