//! The way to the cloud truth: name, connection, certificate, who answers, and whether it takes the token.

use studiovault_protocol::api::{DoctorStage, Stage};
use studiovault_protocol::author::WAY_BACK;

use super::{CloudAnswer, CloudFacts, failed, has_failed, ok, rests_on, unknown};
use crate::wording::{parted, sentence};

/// The stages of the way, or that there is no cloud.
pub(super) fn stages(facts: Option<&CloudFacts>) -> Vec<DoctorStage> {
    let Some(facts) = facts else {
        let evidence = "this studio has no cloud truth, and needs none";
        return vec![ok(Stage::Cloud, evidence)];
    };
    let mut stages = vec![dns(facts)];
    let further = [
        (Stage::CloudTcp, tcp as fn(&CloudFacts) -> DoctorStage),
        (Stage::CloudTls, tls),
        (Stage::CloudPortal, portal),
        (Stage::CloudSignIn, sign_in),
    ];
    for (stage, judged) in further {
        let before = stages.iter().find(|stage| has_failed(stage));
        let before = before.map(|failed| failed.stage);
        // Who speaks in the cloud's place is told as that, whatever failed before by it.
        let is_impostor = stage == Stage::CloudPortal && facts.impostor.is_some();
        stages.push(match before {
            Some(before) if !is_impostor => rests_on(stage, before),
            _ => judged(facts),
        });
    }
    stages
}

fn dns(facts: &CloudFacts) -> DoctorStage {
    let stage = Stage::CloudDns;
    match &facts.dns {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            ok(stage, format!("{}: {}", facts.url, addresses.join(", ")))
        }
        Err(error) => failed(
            stage,
            format!("{}: {error}", facts.url),
            "Bring one machine of the studio onto the internet; if this one is, check its name server and the cloud's address.",
        ),
    }
}

fn tcp(facts: &CloudFacts) -> DoctorStage {
    let stage = Stage::CloudTcp;
    match &facts.tcp {
        Ok(address) => ok(stage, format!("{address} takes connections")),
        Err(error) => failed(
            stage,
            error.clone(),
            "Check the internet and that a firewall lets this port out; if both are fine, ask who hosts the cloud.",
        ),
    }
}

const LATER: &str = "Try again in a minute; if it stays so, ask who hosts the cloud.";

fn nothing_answers(error: &str) -> String {
    format!("the connection stands and nothing answers: {error}")
}

fn tls(facts: &CloudFacts) -> DoctorStage {
    let stage = Stage::CloudTls;
    if facts.url.starts_with("http:") {
        return ok(stage, "without TLS, since the cloud is on this machine");
    }
    match &facts.answer {
        CloudAnswer::Tls(error) => failed(
            stage,
            error.clone(),
            "If this network wants a sign-in, open a browser and do that first; else ask who hosts the cloud for its pin, and trust nothing meanwhile.",
        ),
        CloudAnswer::NotAsked => unknown(stage, "it was not asked"),
        CloudAnswer::Silent(error) => failed(stage, nothing_answers(error), LATER),
        _ => ok(stage, "the certificate is the one that it should be"),
    }
}

fn portal(facts: &CloudFacts) -> DoctorStage {
    let stage = Stage::CloudPortal;
    let next_step = "Open a browser on this machine and sign in to this network; the way to the cloud goes on by itself.";
    if let Some(impostor) = &facts.impostor {
        return failed(stage, impostor.clone(), next_step);
    }
    match &facts.answer {
        CloudAnswer::Echoed { took_ms, .. } => {
            ok(stage, format!("the cloud itself answered in {took_ms} ms"))
        }
        CloudAnswer::SignIn(_) | CloudAnswer::ShutOut(_) | CloudAnswer::Busy(_) => {
            ok(stage, "the cloud itself answered")
        }
        CloudAnswer::Somebody(words) => failed(stage, words.clone(), next_step),
        CloudAnswer::Silent(error) => failed(stage, nothing_answers(error), LATER),
        CloudAnswer::NotAsked | CloudAnswer::Tls(_) => unknown(stage, "it was not asked"),
    }
}

fn sign_in(facts: &CloudFacts) -> DoctorStage {
    let stage = Stage::CloudSignIn;
    match &facts.answer {
        CloudAnswer::Echoed { .. } => ok(stage, "the token is taken"),
        CloudAnswer::SignIn(words) => failed(
            stage,
            parted(words).0,
            "Sign in again with `studiovault login`.",
        ),
        CloudAnswer::ShutOut(words) => failed(stage, parted(words).0, &sentence(WAY_BACK)),
        CloudAnswer::Busy(words) => unknown(stage, words.clone()),
        _ => unknown(stage, "nothing was heard of it"),
    }
}
