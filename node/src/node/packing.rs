//! Packs at a running node: parts of one are taken in through the loop, and that one was made is noted.

use studiovault_protocol::pack::{Label, Part, Taken};
use tokio::sync::oneshot;

use super::Node;
use crate::runner::Local;
use crate::store::AuditKind;

/// Why a part of a pack was not taken in. Nothing of it is kept; what came before it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackRefused {
    /// The person's: another studio's.
    #[error("this pack is of another studio; take the one that a machine of this studio made")]
    OtherStudio,
    /// The disk's.
    #[error(
        "a part of the pack could not be kept; look at `studiovault status` and make room on the disk, then take the pack in again"
    )]
    NotKept,
    /// The node is shutting down.
    #[error("the node is stopping; start it and take the pack in again")]
    Stopping,
}

impl Node {
    /// Takes one part of a pack in; durable when it returns.
    pub async fn take_part(&self, part: Part) -> Result<Taken, PackRefused> {
        if matches!(&part, Part::Label(label) if label.studio != self.inner.studio.studio) {
            return Err(PackRefused::OtherStudio);
        }
        let (answer, answered) = oneshot::channel();
        let sent = Local::Pack(Box::new(part), answer);
        let sent = self.inner.local.send(sent).await;
        sent.map_err(|_| PackRefused::Stopping)?;
        let answered = answered.await.map_err(|_| PackRefused::Stopping)?;
        answered.ok_or(PackRefused::NotKept)
    }

    /// Notes that a pack is made of this machine's store.
    pub fn note_pack(&self, label: &Label) {
        self.inner
            .journal
            .note(AuditKind::Export, label.made_words());
    }
}
