//! Gossipsub as the studio uses it: one topic, a small mesh, hints that may be lost.
//!
//! Nothing depends on delivery. The behaviour is always present, because a connection made without it never learns it
//! later; an idle heartbeat sends nothing and its processor time is below what can be measured.

use std::time::Duration;

use libp2p::{
    gossipsub::{
        Behaviour, ConfigBuilder, Event, IdentTopic, Message, MessageAcceptance,
        MessageAuthenticity, MessageId, ValidationMode, WhitelistSubscriptionFilter,
    },
    identity::Keypair,
};

use super::{
    MeshError, MeshEvent,
    bounds::{GOSSIP_QUEUE, MAX_HINT_BYTES},
    transport::key_of,
};
use bytes::Bytes;

pub(super) type Gossip =
    Behaviour<libp2p::gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

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
        .build()
        .map_err(|error| MeshError::Gossip(error.to_string()))?;
    let authenticity = MessageAuthenticity::Signed(keypair.clone());
    let filter = WhitelistSubscriptionFilter([topic.hash()].into());
    let mut gossip = Behaviour::new_with_subscription_filter(authenticity, config, filter)
        .map_err(|error| MeshError::Gossip(error.to_owned()))?;
    gossip
        .subscribe(topic)
        .map_err(|error| MeshError::Gossip(error.to_string()))?;
    Ok(gossip)
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
