//! Memory for request bodies that is used again: for each body it would come from the system anew, and go back.

use std::sync::Mutex;

/// How many pieces of memory wait at most.
const MOST: usize = 16;

/// The largest that waits, in bytes; larger ones go back to the system.
const LARGEST: usize = 128 * 1024;

/// The last one that came back is in a processor's cache, so it goes first. Nobody waits for the lock: in a process that the
/// application has forked it may be held for ever.
static WAITING: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Memory for a body, empty.
pub fn take() -> Vec<u8> {
    WAITING.try_lock().ok().and_then(|mut waiting| waiting.pop()).unwrap_or_default()
}

/// Takes back the memory of a body that is no longer needed.
pub fn give_back(mut body: Vec<u8>) {
    if !(1..=LARGEST).contains(&body.capacity()) {
        return;
    }
    body.clear();
    if let Ok(mut waiting) = WAITING.try_lock() {
        if waiting.len() < MOST {
            waiting.push(body);
        }
    }
}
