//! Gossipsub as the studio uses it: one topic, a small mesh, hints that may be lost.
//!
//! Nothing depends on delivery. The behaviour is always present, because a connection made without it never learns it
//! later; an idle heartbeat sends nothing and its processor time is below what can be measured. Peers are given nothing before they are
//! admitted: a score below zero keeps them out of the mesh, and out of what is gossiped beside it.

use std::time::Duration;

use libp2p::{
    gossipsub::{
        Behaviour, ConfigBuilder, Event, IdentTopic, Message, MessageAcceptance,
        MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, ValidationMode,
        WhitelistSubscriptionFilter,
    },
    identity::{Keypair, PeerId},
};

use super::{
    MeshError, MeshEvent,
    bounds::{GOSSIP_QUEUE, MAX_HINT_BYTES},
    transport::key_of,
};
use bytes::Bytes;

pub(super) type Gossip =
    Behaviour<libp2p::gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// The score of a peer that is not admitted. Admitted ones have 0.
const STRANGER: f64 = -1.0;

/// The behaviour, subscribed to `topic` and deaf to every other.
pub(super) fn build(keypair: &Keypair, topic: &IdentTopic) -> Result<Gossip, MeshError> {
    let config = ConfigBuilder::default()
        // A mesh of three halves the copies of the default six at the same latency, up to 50 nodes.
        .mesh_n(3)
        .mesh_n_low(2)
        .mesh_n_high(4)
        .mesh_outbound_min(1)
        .flood_publish(false)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        // By content: a relayed copy is the same message, and a forged one cannot take the place of a real one.
        .message_id_fn(|message: &Message| {
            MessageId::from(blake3::hash(&message.data).as_bytes().to_vec())
        })
        .max_transmit_size(MAX_HINT_BYTES)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .heartbeat_interval(Duration::from_secs(1))
        // Of two peers one admits the other first, and is turned away if it says so at once: it asks again soon.
        .prune_backoff(Duration::from_secs(2))
        .build()
        .map_err(|error| MeshError::Gossip(error.to_string()))?;
    let authenticity = MessageAuthenticity::Signed(keypair.clone());
    let filter = WhitelistSubscriptionFilter([topic.hash()].into());
    let mut gossip = Behaviour::new_with_subscription_filter(authenticity, config, filter)
        .map_err(|error| MeshError::Gossip(error.to_owned()))?;
    gossip
        .with_peer_score(scores(), thresholds())
        .map_err(MeshError::Gossip)?;
    gossip
        .subscribe(topic)
        .map_err(|error| MeshError::Gossip(error.to_string()))?;
    Ok(gossip)
}

/// Only admission counts: what a peer sends is judged by the engine.
fn scores() -> PeerScoreParams {
    PeerScoreParams {
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

/// A stranger's subscription is heard, so that it counts once it is admitted; it is given nothing.
fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: STRANGER / 2.0,
        publish_threshold: STRANGER / 2.0,
        graylist_threshold: STRANGER * 2.0,
        ..PeerScoreThresholds::default()
    }
}

/// A peer has a first connection: it is given nothing until [`admit`] says so.
pub(super) fn hold_back(gossip: &mut Gossip, peer: &PeerId) {
    let is_known = gossip.set_application_score(peer, STRANGER);
    debug_assert!(is_known, "a connection makes its peer known");
}

/// A peer said who it is, and belongs.
pub(super) fn admit(gossip: &mut Gossip, peer: &PeerId) {
    // One that is gone is told nothing anyway.
    let _ = gossip.set_application_score(peer, 0.0);
}

/// Judges an arrived message and passes it on; `None` for everything else gossipsub reports.
pub(super) fn heard(gossip: &mut Gossip, event: Event) -> Option<MeshEvent> {
    let Event::Message {
        propagation_source,
        message_id,
        message,
    } = event
    else {
        return None;
    };
    let author = message.source.as_ref().and_then(key_of);
    let acceptance = match author {
        Some(_) if message.data.len() <= MAX_HINT_BYTES => MessageAcceptance::Accept,
        _ => MessageAcceptance::Reject,
    };
    let accepted = matches!(acceptance, MessageAcceptance::Accept);
    gossip.report_message_validation_result(&message_id, &propagation_source, acceptance);
    let bytes = Bytes::from(message.data);
    author
        .filter(|_| accepted)
        .map(|key| MeshEvent::Heard { key, bytes })
}
