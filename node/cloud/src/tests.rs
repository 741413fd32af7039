//! A cloud truth as machines of a studio meet it.

mod contract;
mod decisions;
mod fixture;
mod folder;
mod genesis;
mod held;
mod histories;
mod network;
mod plain;
mod policies;
mod revoked;
mod speed;
mod wire;
