//! Which trace a request belongs to: the client's, or one that begins here.

use mod_wsgi_core::trace_context::TraceParent;

use crate::apache::request::Request;
use crate::config::TraceContext;

/// The trace of a request, as `WSGITraceContext` has it. httpd's log formats have it then as the notes `traceparent` and
/// `trace_id`.
pub fn of(r: Request<'_>) -> Option<TraceParent> {
    let wanted = r.dir_config().trace_context.unwrap_or(TraceContext::Off);
    if wanted == TraceContext::Off {
        return None;
    }
    // A request that was redirected inside of httpd has one already.
    let first = std::iter::successors(Some(r), |request| request.previous()).last().unwrap_or(r);
    let known = first.notes().get(c"traceparent").or_else(|| r.headers_in().get(c"traceparent"));
    let begin = || begin().filter(|_| wanted == TraceContext::On);
    let parent = known.and_then(TraceParent::parse).or_else(begin)?;
    for request in std::iter::successors(Some(r), |request| request.previous()) {
        request.set_note(c"traceparent", parent.to_string().as_bytes());
        request.set_note(c"trace_id", format!("{:032x}", parent.trace).as_bytes());
    }
    Some(parent)
}

fn begin() -> Option<TraceParent> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).ok()?;
    TraceParent::begin(random)
}
