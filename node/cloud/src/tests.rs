//! A cloud truth as machines of a studio meet it.

mod cluster;
mod contract;
mod decisions;
mod fixture;
mod folder;
mod genesis;
mod held;
mod histories;
mod network;
mod oauth;
mod offered;
mod plain;
mod policies;
mod postgres;
mod restored;
mod revoked;
mod several;
mod shut_out;
mod sign_in;
mod site;
mod snapshots;
mod speed;
mod wire;
