//! Two engines in one room.
