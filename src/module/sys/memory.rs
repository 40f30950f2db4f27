//! The memory of a board: shared by processes where the system has daemon processes, else of this process.

#[cfg(windows)]
mod private;
#[cfg(unix)]
mod shared;

#[cfg(windows)]
pub use private::{Mapping, Memory};
#[cfg(unix)]
pub use shared::{Mapping, Memory};
