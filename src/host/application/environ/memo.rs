//! Environs of earlier requests, because the next one is much like the last: a copy needs only what differs.
//!
//! Only what the server says of itself and what browsers say of themselves is remembered; everything that could be secret,
//! or is different each time, is made anew.

use super::{is_hidden, put_entry};
use crate::application::state::State;
use crate::python::{Fields, Object, PyResult, Python, Stored, Visit};
use mod_wsgi_core::wire::{Key, Name, PairWriter, Pairs, RequestHead};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Mutex;

/// How many environs are remembered.
const MEMOS: usize = 16;
/// How many names of shapes are remembered to tell whether one comes again.
const SEEN: usize = 64;

/// An environ of an earlier request.
struct Memo {
    /// See [`shape`].
    shape: u64,
    /// Its entries as they came, without the values that are not remembered.
    entries: Vec<u8>,
    /// The dictionary, with `None` for what is not remembered.
    environ: Stored,
}

/// What is remembered.
#[derive(Default)]
pub struct Memos(Mutex<Known>);

#[derive(Default)]
struct Known {
    memos: Vec<Memo>,
    /// Which memo goes next when there is no more room.
    next: usize,
    /// Shapes that were there at least once.
    seen: Vec<u64>,
}

impl Fields for Memos {
    fn fields(&self, visit: &mut Visit<'_>) {
        // Where the lock is held, the holder has the references too, which then only lets them live longer.
        if let Ok(known) = self.0.try_lock() {
            known.memos.iter().for_each(|memo| visit.field(&memo.environ));
        }
    }
}

/// Whether the value of an entry is remembered.
fn is_remembered(name: Name<'_>) -> bool {
    let Name::Known(key) = name else { return false };
    matches!(
        key,
        Key::CONTEXT_DOCUMENT_ROOT
            | Key::CONTEXT_PREFIX
            | Key::DOCUMENT_ROOT
            | Key::HTTP_ACCEPT
            | Key::HTTP_ACCEPT_CHARSET
            | Key::HTTP_ACCEPT_ENCODING
            | Key::HTTP_ACCEPT_LANGUAGE
            | Key::HTTP_CACHE_CONTROL
            | Key::HTTP_CONNECTION
            | Key::HTTP_DNT
            | Key::HTTP_HOST
            | Key::HTTP_PRAGMA
            | Key::HTTP_PRIORITY
            | Key::HTTP_SEC_CH_UA
            | Key::HTTP_SEC_CH_UA_MOBILE
            | Key::HTTP_SEC_CH_UA_PLATFORM
            | Key::HTTP_SEC_FETCH_DEST
            | Key::HTTP_SEC_FETCH_MODE
            | Key::HTTP_SEC_FETCH_SITE
            | Key::HTTP_SEC_FETCH_USER
            | Key::HTTP_SEC_GPC
            | Key::HTTP_TE
            | Key::HTTP_UPGRADE_INSECURE_REQUESTS
            | Key::HTTP_USER_AGENT
            | Key::REMOTE_ADDR
            | Key::REQUEST_METHOD
            | Key::REQUEST_SCHEME
            | Key::SCRIPT_FILENAME
            | Key::SCRIPT_NAME
            | Key::SERVER_ADDR
            | Key::SERVER_ADMIN
            | Key::SERVER_NAME
            | Key::SERVER_PORT
            | Key::SERVER_PROTOCOL
            | Key::SERVER_SOFTWARE
            | Key::MOD_WSGI_HANDLER_SCRIPT
            | Key::MOD_WSGI_LISTENER_HOST
            | Key::MOD_WSGI_LISTENER_PORT
            | Key::MOD_WSGI_REQUEST_HANDLER
            | Key::MOD_WSGI_SCRIPT_NAME
            | Key::MOD_WSGI_SERVER_PID
    )
}

/// A number for the names of a request's entries in their order: two requests of one shape differ in values alone, but
/// for a chance that [`Memos::copy`] looks at.
pub fn shape(head: &RequestHead<'_>) -> u64 {
    let mut shape = 0xcbf2_9ce4_8422_2325_u64;
    for (name, _) in head.environ.flatten() {
        let number = match name {
            Name::Known(key) => u64::from(key.number()),
            Name::Other(text) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(text);
                hasher.finish() | 0x100
            }
        };
        shape = (shape ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
    shape
}

impl Memos {
    /// The environ of an earlier request of the same names with the values of this one, except what is made for each
    /// request; `None` where nothing is known.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn copy<'py>(
        &self,
        py: Python<'py>,
        state: &State,
        shape: u64,
        head: &RequestHead<'_>,
    ) -> PyResult<'py, Option<Object<'py>>> {
        // Whoever finds the lock taken makes the environ by itself rather than wait.
        let Ok(known) = self.0.try_lock() else { return Ok(None) };
        let Some(memo) = known.memos.iter().find(|memo| memo.shape == shape) else { return Ok(None) };
        let environ = memo.environ.get(py).copy_dict()?;
        let (mut before, mut now) = (Pairs::new(&memo.entries).flatten(), head.environ.flatten());
        loop {
            match (before.next(), now.next()) {
                (None, None) => return Ok(Some(environ)),
                (Some((name, old)), Some((same, new))) if name == same => {
                    if old != new || !is_remembered(name) {
                        put_entry(py, state, &environ, name, new)?;
                    }
                }
                _ => return Ok(None),
            }
        }
    }

    /// Remembers an environ, if its shape has come before.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn consider<'py>(
        &self,
        py: Python<'py>,
        state: &State,
        shape: u64,
        head: &RequestHead<'_>,
        environ: &Object<'py>,
    ) -> PyResult<'py, ()> {
        {
            let mut known = py.lock(&self.0);
            known.seen.resize(SEEN, 0);
            let Some(place) = known.seen.get_mut(shape as usize % SEEN) else { return Ok(()) };
            if std::mem::replace(place, shape) != shape {
                return Ok(());
            }
        }
        // Of two entries of one name the later one counts, which a comparison entry by entry would not see.
        let mut names: Vec<_> = head.environ.flatten().map(|(name, _)| name.text()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Ok(());
        }
        let memo = Self::remember(py, state, shape, head, environ)?;
        let mut known = py.lock(&self.0);
        let mut replaced = None;
        if known.memos.len() < MEMOS {
            known.memos.push(memo);
        } else {
            known.next = (known.next + 1) % MEMOS;
            let next = known.next;
            replaced = known.memos.get_mut(next).map(|place| std::mem::replace(place, memo));
        }
        drop(known);
        if let Some(replaced) = replaced {
            replaced.environ.clear(py);
        }
        Ok(())
    }

    fn remember<'py>(
        py: Python<'py>,
        state: &State,
        shape: u64,
        head: &RequestHead<'_>,
        environ: &Object<'py>,
    ) -> PyResult<'py, Memo> {
        let (copy, none) = (environ.copy_dict()?, py.none());
        let mut entries = Vec::new();
        let mut writer = PairWriter::new(&mut entries);
        for (name, value) in head.environ.flatten() {
            let kept = if is_remembered(name) { value } else { b"" };
            match name {
                Name::Known(key) => writer.known(key, kept),
                Name::Other(text) => writer.named(text, kept),
            }
            if !is_remembered(name) && !is_hidden(name) {
                copy.set_entry(&py.latin1(name.text())?, &none)?;
            }
        }
        let names = &state.names;
        for own in [&names.wsgi_input, &names.wsgi_errors, &names.request_start, &names.application_start] {
            copy.set_entry(&own.get(py), &none)?;
        }
        // It is for one request, and another of the same shape may have none.
        copy.remove_entry(&names.request_rec.get(py));
        Ok(Memo { shape, entries, environ: Stored::new(copy) })
    }
}
