//! What the garbage collector of an interpreter does: a callback of `gc` keeps its collections until they are reported.

use crate::application::state::State;
use crate::python::{Args, Fields, Object, PyResult, Python, Stored, Visit, function};
use crate::sys::{clock, fork};
use mod_wsgi_core::telemetry::{GcEvent, GcSnapshot};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

/// How many collections are kept; then the oldest goes.
const KEPT: usize = 256;

/// How many are reported at once.
const AT_ONCE: usize = 64;

#[derive(Default)]
struct Ring {
    /// When the collection began that runs, in microseconds since the epoch, and on a clock that nobody sets.
    begun: Option<(u64, Instant)>,
    events: VecDeque<GcEvent>,
    dropped: u64,
}

/// The collections of an interpreter.
pub struct Collections {
    /// The module `gc`; nothing unless they are watched.
    module: Stored,
    ring: Mutex<Ring>,
}

impl Default for Collections {
    fn default() -> Self {
        Self { module: Stored::empty(), ring: Mutex::default() }
    }
}

impl Fields for Collections {
    fn fields(&self, visit: &mut Visit<'_>) {
        visit.field(&self.module);
    }
}

impl Collections {
    /// Begins to watch; `module` is the module `mod_wsgi` of the interpreter.
    ///
    /// # Errors
    /// What `gc` raises.
    pub fn watch<'py>(&self, module: &Object<'py>) -> PyResult<'py, ()> {
        let gc = module.py().import("gc")?;
        gc.get("callbacks")?.append(&function(module, c"_gc_callback", callback)?)?;
        self.module.put(gc);
        Ok(())
    }

    /// What the collector has done so far, and the collections to report now; `None` where it is not watched.
    ///
    /// # Errors
    /// What `gc` raises.
    pub fn look<'py>(&self, py: Python<'py>) -> PyResult<'py, Option<(GcSnapshot, Vec<GcEvent>)>> {
        let gc = self.module.get(py);
        if gc.is_none() {
            return Ok(None);
        }
        let mut snapshot = snapshot(&gc)?;
        let mut ring = py.lock(&self.ring);
        snapshot.dropped = std::mem::take(&mut ring.dropped);
        let now = ring.events.len().min(AT_ONCE);
        Ok(Some((snapshot, ring.events.drain(..now).collect())))
    }
}

fn number<'py>(object: &Object<'py>) -> PyResult<'py, u64> {
    Ok(u64::try_from(object.to_int()?).unwrap_or_default())
}

fn entry<'py>(dictionary: &Object<'py>, name: &str) -> PyResult<'py, u64> {
    let entry = dictionary.entry(&dictionary.py().interned(name)?);
    entry.map_or(Ok(0), |entry| number(&entry))
}

/// What `value` makes of the first three items, which are those of the generations.
fn by_generation<'py>(
    items: &Object<'py>,
    value: impl Fn(&Object<'py>) -> PyResult<'py, u64>,
) -> PyResult<'py, [u64; 3]> {
    let mut numbers = [0; 3];
    for (at, number) in numbers.iter_mut().enumerate() {
        if let Some(item) = items.item(at)? {
            *number = value(&item)?;
        }
    }
    Ok(numbers)
}

fn snapshot<'py>(gc: &Object<'py>) -> PyResult<'py, GcSnapshot> {
    let stats = gc.call_method("get_stats", [])?;
    let of_stats = |name: &'static str| by_generation(&stats, move |generation| entry(generation, name));
    Ok(GcSnapshot {
        count: by_generation(&gc.call_method("get_count", [])?, number)?,
        threshold: by_generation(&gc.call_method("get_threshold", [])?, number)?,
        collections: of_stats("collections")?,
        collected: of_stats("collected")?,
        uncollectable: of_stats("uncollectable")?,
        is_enabled: gc.call_method("isenabled", [])?.is_true(),
        freeze_count: number(&gc.call_method("get_freeze_count", [])?)?,
        dropped: 0,
    })
}

/// `_gc_callback(phase, info)`, called by `gc` before and after each collection.
fn callback<'a, 'py>(py: Python<'py>, state: &'static State, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
    let (Some(phase), Some(info)) = (arguments.get(0), arguments.get(1)) else { return Ok(py.none()) };
    // In a process that the application forked nobody reports.
    if fork::is_child() {
        return Ok(py.none());
    }
    let ring = &state.collections.ring;
    if phase.to_text()? == "start" {
        py.lock(ring).begun = Some((clock::microseconds(), Instant::now()));
        return Ok(py.none());
    }
    let mut event = GcEvent {
        generation: entry(&info, "generation")?,
        collected: entry(&info, "collected")?,
        uncollectable: entry(&info, "uncollectable")?,
        ..GcEvent::default()
    };
    let mut ring = py.lock(ring);
    if let Some((start, begun)) = ring.begun.take() {
        (event.start, event.duration) = (start, u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        if ring.events.len() >= KEPT {
            ring.events.pop_front();
            ring.dropped += 1;
        }
        ring.events.push_back(event);
    }
    drop(ring);
    Ok(py.none())
}
