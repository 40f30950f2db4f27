//! Tells applications what happens to the process, on a thread of its own: a callback may take its time, or for ever, and the
//! main thread must not wait for it.
//!
//! Differs from mod_wsgi, which calls them on Python's main thread. Test: test_module_process_events.py.

use super::service::Service;
use crate::application::events::{ProcessEvent, announce};
use crate::ignore;
use crate::log;
use crate::python::caught;
use mod_wsgi_core::wire::LogLevel;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// Sends events to a thread, which is started with the first one.
pub struct Announcer<'s> {
    service: &'s Arc<Service>,
    thread: Option<(Sender<ProcessEvent>, JoinHandle<()>)>,
    /// How many events are not told yet.
    left: Arc<AtomicUsize>,
}

fn work(service: &Service, events: &Receiver<ProcessEvent>, left: &AtomicUsize) {
    while let Ok(event) = events.recv() {
        // What failed is logged where it is caught.
        ignore(caught("an event of the process", || announce(service.interpreters, event)));
        left.fetch_sub(1, Ordering::AcqRel);
        service.tell_news();
    }
}

impl<'s> Announcer<'s> {
    /// For the applications of a process.
    pub fn new(service: &'s Arc<Service>) -> Self {
        Self { service, thread: None, left: Arc::default() }
    }

    fn start(&mut self) -> std::io::Result<()> {
        if self.thread.is_none() {
            let (events, received) = channel();
            let (service, left) = (Arc::clone(self.service), Arc::clone(&self.left));
            let name = "wsgi:announcer".to_owned();
            let thread = thread::Builder::new().name(name).spawn(move || work(&service, &received, &left))?;
            self.thread = Some((events, thread));
        }
        Ok(())
    }

    /// Tells an event, after those before.
    pub fn tell(&mut self, event: ProcessEvent) {
        if let Err(error) = self.start() {
            let text = format!("WSGI0207: applications are not told of {}: no thread for it: {error}", event.name());
            log::write(LogLevel::Error, &text);
        }
        if let Some((events, _)) = &self.thread {
            self.left.fetch_add(1, Ordering::AcqRel);
            // Its thread lives as long as this.
            ignore(events.send(event));
        }
    }

    /// Whether everything is told.
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Ends the thread, if everything is told; whether it is.
    pub fn end(self) -> bool {
        let is_done = self.is_done();
        if let Some((events, thread)) = self.thread.filter(|_| is_done) {
            drop(events);
            // A thread whose panic got this far has logged it.
            ignore(thread.join());
        }
        is_done
    }
}
