//! The network lab: real processes in network namespaces on one bridge.
//! Needs Linux, root, iproute2 and nftables; says SKIPPED and succeeds where it cannot run.
#![cfg(target_os = "linux")]

mod netns {
    mod apart;
    mod bad_input;
    mod crowd;
    mod demo;
    mod doctor;
    mod eavesdrop;
    mod election;
    mod field;
    mod filled;
    mod flood;
    mod gateway;
    mod kills;
    mod lans;
    mod pairing;
    mod primitives;
    mod rekey;
    mod restart;
    mod restored;
    mod stranger;
    mod together;
    mod window;
    mod witness;
}
