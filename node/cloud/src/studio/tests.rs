//! Studios.
