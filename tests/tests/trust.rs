//! The node's side of trust, tried against real nodes: the audit log, who gets past the guard of the local API, and everything that
//! reads what others wrote.

mod trust {
    mod audit;
    mod fuzz;
    mod headers;
}
