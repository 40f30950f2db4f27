//! Embedded mode.
