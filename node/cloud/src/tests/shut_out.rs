//! What a machine gets with the studio's token: everything while it belongs and proves it, nothing otherwise.

use serde_json::json;
use studiovault_protocol::cloud::Prover;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Act, Cut, SignedRecord};

use super::fixture::{NOON, empty_request};
use super::site::{Site, a_site, asked, problem};
use super::wire::Request;

impl Site {
    /// Every road by which a machine's token leads into the studio.
    fn roads(&self, device: DeviceId) -> Vec<Request> {
        let mut batch = empty_request();
        batch.device = device;
        let read = |path: String| Request::new("GET", &path).token(&self.token);
        let studio = self.studio;
        vec![
            self.batch(&batch),
            self.changes(0, 0),
            read("/v1/ping?nonce=1".into()),
            read("/v1/sync/changes?limit=10".into()),
            read(format!("/v1/logs/{device}?epoch={:016x}", 1001)),
            read(format!("/v1/studios/{studio}/summary")),
            read(format!("/v1/studios/{studio}/roster")),
        ]
    }

    async fn code_for(&self, request: Request) -> (u16, String) {
        problem(&asked(self.cloud.address, &self.pin, request).await)
    }
}

#[tokio::test]
async fn a_revoked_machine_keeps_the_token_and_gets_nothing_by_it() {
    let site = a_site().await;
    let thief = &site.machines[1];
    let as_thief =
        |road: Request| road.proven(Prover::Device(thief.device), &site.nonce, &thief.key);
    for road in site.roads(thief.device).into_iter().skip(2) {
        let answer = asked(site.cloud.address, &site.pin, as_thief(road)).await;
        assert_eq!(answer.status, 200, "before: {}", answer.json());
    }
    let cut = Cut {
        device: thief.device,
        stands: Vec::new(),
        keeps: Vec::new(),
        at: NOON,
    };
    let record = SignedRecord::by_root(site.studio, Act::Revoke(cut), &site.root);
    assert_eq!(site.introduce(&[record]).await.status, 204);
    for road in site.roads(thief.device) {
        let code = site.code_for(as_thief(road)).await;
        assert_eq!(code, (403, "DEVICE_REVOKED".into()));
    }
    for road in site.roads(site.machines[0].device).into_iter().skip(2) {
        assert_eq!(site.ask(road).await.status, 200);
    }
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_machines_token_opens_nothing_without_a_proof_that_holds() {
    let site = a_site().await;
    let me = &site.machines[0];
    let (prover, stranger) = (
        Prover::Device(me.device),
        Prover::Device(DeviceId([77; 16])),
    );
    let needed = (401, "PROOF_NEEDED".to_owned());
    for road in site.roads(me.device) {
        assert_eq!(site.code_for(road.clone()).await, needed);
        let other_key = road
            .clone()
            .proven(prover, &site.nonce, &site.machines[1].key);
        assert_eq!(site.code_for(other_key).await, needed);
        let old = "00".repeat(16);
        let old_nonce = road.clone().proven(prover, &old, &me.key);
        assert_eq!(site.code_for(old_nonce).await, needed);
        let made_up = road.clone().header("studiovault-proof", "root.x.y");
        assert_eq!(site.code_for(made_up).await, needed);
        let not_root = road.clone().proven(Prover::Root, &site.nonce, &me.key);
        assert_eq!(site.code_for(not_root).await, needed);
        let key = SecretKey::from_seed([77; 32]);
        let unknown = road.proven(stranger, &site.nonce, &key);
        assert_eq!(
            site.code_for(unknown).await,
            (403, "DEVICE_UNKNOWN".to_owned())
        );
    }
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn a_machine_speaks_for_itself_alone_and_brings_nothing_unsigned() {
    let site = a_site().await;
    let mut batch = empty_request();
    batch.device = site.machines[1].device;
    let answer = site.ask(site.batch(&batch)).await;
    assert_eq!(problem(&answer), (403, "FORBIDDEN".into()));
    let unsigned = Request::new("POST", "/v1/sync/batch")
        .token(&site.token)
        .json(&json!({ "commands": [] }));
    let answer = site.ask(unsigned).await;
    assert_eq!(problem(&answer), (403, "FORBIDDEN".into()));
    site.cloud.shutdown().await;
}

#[tokio::test]
async fn the_recovery_kits_key_reads_the_roster() {
    let site = a_site().await;
    let path = format!("/v1/studios/{}/roster", site.studio);
    let request =
        Request::new("GET", &path)
            .token(&site.token)
            .proven(Prover::Root, &site.nonce, &site.root);
    let answer = asked(site.cloud.address, &site.pin, request).await;
    assert_eq!(answer.json().as_array().map(Vec::len), Some(4));
    site.cloud.shutdown().await;
}
