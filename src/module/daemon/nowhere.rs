//! Daemon mode where there are no daemon processes: a request that asks for a group is refused.

use crate::apache::request::Request;
use crate::handler::{INTERNAL_ERROR, Resolved, Status, refuse};
use crate::startup::Runtime;

/// Refuses a request for a process group.
pub fn serve(r: Request<'_>, _runtime: &Runtime, resolved: &Resolved, _has_body: bool) -> Result<i32, Status> {
    let name = String::from_utf8_lossy(&resolved.process_group);
    let text = format!(
        "WSGI0150: the process group '{name}' is asked for, and there are no daemon processes on Windows: take WSGIProcessGroup and process-group= out, so that embedded mode serves"
    );
    Err(refuse(r, INTERNAL_ERROR, &text))
}
