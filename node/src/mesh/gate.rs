//! The gate before the pre-shared-key layer: which of the studio's keys both sides hold.
//!
//! While a key is being changed there are two, and a connection must be made under one that both know. Whoever dials shows a random
//! number with a tag of it under each of its keys; whoever listens answers under the newest of its own that is among them, or not at
//! all. Invariant: who holds none of the keys hears no byte. What is shown looks random, and is worth nothing to who repeats it: the
//! layers above prove the key itself.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use libp2p::{Multiaddr, core::ConnectedPoint, pnet::PnetError};

use super::bounds::{MAX_HANDSHAKES, MESH_KEYS};

/// Bytes of a random number, and of a tag.
const NONCE: usize = 16;
const TAG: usize = 8;
/// What whoever dials shows: a number, and tags, filled up with chance.
const SHOWN: usize = NONCE + MESH_KEYS * TAG;

/// A key under the mesh.
pub(super) type Key = [u8; 32];

/// The key that both sides hold, and whether it is an earlier one for this side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Passed {
    pub(super) key: Key,
    pub(super) earlier: bool,
}

/// The studio's keys as every handshake uses them, and which connections were made under an earlier one.
#[derive(Clone)]
pub(super) struct Gate(Arc<Mutex<State>>);

struct State {
    keys: Vec<Key>,
    earlier: HashSet<Multiaddr>,
}

impl Gate {
    /// With these keys, the newest first.
    pub(super) fn new(keys: Vec<Key>) -> Self {
        let earlier = HashSet::new();
        Self(Arc::new(Mutex::new(State { keys, earlier })))
    }

    /// Other keys from now on.
    pub(super) fn change(&self, keys: Vec<Key>) {
        self.state().keys = keys;
    }

    /// The key for a connection that begins.
    pub(super) async fn pass<S>(
        &self,
        socket: &mut S,
        endpoint: &ConnectedPoint,
    ) -> Result<Key, PnetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let keys = self.state().keys.clone();
        let passed = match endpoint {
            ConnectedPoint::Dialer { .. } => dial(socket, &keys).await,
            ConnectedPoint::Listener { .. } => answer(socket, &keys).await,
        };
        let passed = passed.map_err(PnetError::HandshakeError)?;
        if passed.earlier {
            let mut state = self.state();
            // Those whose handshake failed further up are never asked for.
            if state.earlier.len() >= 4 * MAX_HANDSHAKES {
                state.earlier.clear();
            }
            state.earlier.insert(endpoint.get_remote_address().clone());
        }
        Ok(passed.key)
    }

    /// Whether the connection with that remote address was made under an earlier key. Asked once.
    pub(super) fn was_earlier(&self, remote: &Multiaddr) -> bool {
        self.state().earlier.remove(remote)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The dialling side. `keys`: the newest first.
pub(super) async fn dial<S>(socket: &mut S, keys: &[Key]) -> io::Result<Passed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut shown = [0; SHOWN];
    getrandom::fill(&mut shown).map_err(|error| io::Error::other(error.to_string()))?;
    let nonce: [u8; NONCE] = shown[..NONCE].try_into().expect("as long as the number");
    for (key, place) in keys.iter().zip(shown[NONCE..].chunks_exact_mut(TAG)) {
        place.copy_from_slice(&tag(key, b"dial", &nonce));
    }
    socket.write_all(&shown).await?;
    socket.flush().await?;
    let mut answer = [0; NONCE + TAG];
    socket.read_exact(&mut answer).await?;
    let said = [&nonce[..], &answer[..NONCE]].concat();
    choose(keys, |key| {
        tag(key, b"answer", &said)[..] == answer[NONCE..]
    })
}

/// The listening side. `keys`: the newest first.
pub(super) async fn answer<S>(socket: &mut S, keys: &[Key]) -> io::Result<Passed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut shown = [0; SHOWN];
    socket.read_exact(&mut shown).await?;
    let (nonce, tags) = shown.split_at(NONCE);
    let passed = choose(keys, |key| {
        let wanted = tag(key, b"dial", nonce);
        tags.chunks_exact(TAG).any(|shown| shown == wanted)
    })?;
    let mut said = [0; 2 * NONCE];
    said[..NONCE].copy_from_slice(nonce);
    getrandom::fill(&mut said[NONCE..]).map_err(|error| io::Error::other(error.to_string()))?;
    socket.write_all(&said[NONCE..]).await?;
    socket
        .write_all(&tag(&passed.key, b"answer", &said))
        .await?;
    socket.flush().await?;
    Ok(passed)
}

fn choose(keys: &[Key], fits: impl Fn(&Key) -> bool) -> io::Result<Passed> {
    let place = keys.iter().position(fits);
    let place = place.ok_or(io::ErrorKind::PermissionDenied)?;
    Ok(Passed {
        key: keys[place],
        earlier: place > 0,
    })
}

fn tag(key: &Key, side: &[u8], said: &[u8]) -> [u8; TAG] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher
        .update(b"studiovault gate v1")
        .update(side)
        .update(said);
    let mut tag = [0; TAG];
    hasher.finalize_xof().fill(&mut tag);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::compat::TokioAsyncReadCompatExt;

    const OLD: Key = [1; 32];
    const NEW: Key = [2; 32];
    const RIVAL: Key = [3; 32];

    /// What both sides come to.
    async fn met(dialler: &[Key], listener: &[Key]) -> [Option<Passed>; 2] {
        let (near, far) = tokio::io::duplex(256);
        let (mut near, mut far) = (near.compat(), far.compat());
        let listening = async {
            let passed = answer(&mut far, listener).await.ok();
            // Whoever is refused is left alone, as the transport does.
            drop(far);
            passed
        };
        let dialling = async { dial(&mut near, dialler).await.ok() };
        let (dialled, answered) = tokio::join!(dialling, listening);
        [dialled, answered]
    }

    fn passed(key: Key, earlier: bool) -> Option<Passed> {
        Some(Passed { key, earlier })
    }

    #[tokio::test]
    async fn both_sides_meet_under_the_newest_key_that_they_share() {
        let cases = [
            (
                &[OLD][..],
                &[OLD][..],
                [passed(OLD, false), passed(OLD, false)],
            ),
            (
                &[NEW, OLD],
                &[NEW, OLD],
                [passed(NEW, false), passed(NEW, false)],
            ),
            // One has moved and the other has not, whoever dials.
            (&[NEW, OLD], &[OLD], [passed(OLD, true), passed(OLD, false)]),
            (&[OLD], &[NEW, OLD], [passed(OLD, false), passed(OLD, true)]),
            // Both halves of a split studio changed it.
            (
                &[NEW, OLD],
                &[RIVAL, OLD],
                [passed(OLD, true), passed(OLD, true)],
            ),
            // The earlier one is given up.
            (&[OLD], &[NEW], [None, None]),
            (&[NEW], &[RIVAL], [None, None]),
        ];
        for (dialler, listener, expected) in cases {
            assert_eq!(
                met(dialler, listener).await,
                expected,
                "{dialler:?} {listener:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_stranger_hears_no_byte_and_what_was_shown_once_opens_nothing_more() {
        let mut recorded = vec![7u8; SHOWN];
        for _ in 0..2 {
            let (near, far) = tokio::io::duplex(256);
            let (mut near, mut far) = (near.compat(), far.compat());
            near.write_all(&recorded).await.expect("is written");
            let answered = answer(&mut far, &[NEW, OLD]).await;
            drop(far);
            let mut heard = Vec::new();
            near.read_to_end(&mut heard).await.expect("reads");
            // Repeated, it is answered with another number, and the layer above still wants the key.
            assert_eq!(heard.is_empty(), answered.is_err());
            let nonce = recorded[..NONCE].to_vec();
            recorded[NONCE..NONCE + TAG].copy_from_slice(&tag(&OLD, b"dial", &nonce));
        }
    }
}
