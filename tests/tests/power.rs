//! Power cuts: what was acknowledged is there after the power went, whenever that was.
#![cfg(target_os = "linux")]

mod power {
    mod errands;
    mod machine;
    mod recorder;
    mod store;
}
