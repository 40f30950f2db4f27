//! What the configuration says where, for `apachectl configtest`: its warnings name the directive, the file and the line.

use std::fmt;

/// Where a directive stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The directive.
    pub directive: String,
    /// Its file.
    pub file: String,
    /// Its line in that file, from 1.
    pub line: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.directive, self.file, self.line)
    }
}

/// A directive that may turn out wrong when all of the configuration is known.
#[derive(Debug, Clone)]
pub struct Mention {
    /// Where it stands.
    pub position: Position,
    /// The server it stands in, by [`crate::apache::server::Server::identity`].
    pub server: usize,
    /// Whether it is for a part of that server: a folder, a location, a file, a condition.
    pub is_for_part: bool,
    /// What it says.
    pub said: Said,
}

/// What a directive says.
#[derive(Debug, Clone)]
pub enum Said {
    /// The name of a process group that it defines.
    Defines(String),
    /// `WSGIProcessGroup`, as it is written.
    ProcessGroup(Vec<u8>),
    /// A script.
    Script(Script),
    /// Something that stands in the configuration.
    Value,
}

/// A script that a directive names.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it is for.
    pub purpose: Purpose,
    /// Its path; `None` where requests make it.
    pub path: Option<Vec<u8>>,
    /// Who loads it.
    pub loader: Loader,
}

/// What a script is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// The requests that an alias maps to it, or to the folder that it is.
    Alias,
    /// The requests with a handler of ours.
    Handler,
    /// To be loaded before any request.
    Import,
    /// `WSGIAccessScript`.
    Access,
    /// `WSGIAuthUserScript`.
    AuthUser,
    /// `WSGIAuthGroupScript`.
    AuthGroup,
    /// `WSGIDispatchScript`.
    Dispatch,
}

/// Who loads a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loader {
    /// The process group that `WSGIProcessGroup` names where it is.
    OfItsPlace,
    /// This process group, as it is written; the global one is embedded mode.
    Group(Vec<u8>),
    /// Apache's children.
    Apache,
}

impl From<Option<Vec<u8>>> for Loader {
    fn from(process_group: Option<Vec<u8>>) -> Self {
        process_group.map_or(Self::OfItsPlace, Self::Group)
    }
}
