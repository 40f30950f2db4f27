//! `wsgi.input`: the request body, pulled as the application reads.
//!
//! Source: PEP 3333, "Input and Error Streams".

use super::members::no_arguments;
use super::progress::Wait;
use super::request::{Inner, Request};
use super::spare;
use crate::python::{Args, Class, Definition, Exception, Fields, Object, PyResult, Python};
use std::ffi::CStr;
use std::sync::Arc;

/// `wsgi.input` of one request.
pub struct Input(pub Arc<Request>);

/// The most that is asked for at once, in bytes.
const PIECE: usize = 256 * 1024;
/// The least, so that an application that reads line by line does not ask for each.
const LEAST: usize = 64 * 1024;

/// How far to read.
#[derive(Clone, Copy)]
enum Until {
    /// The client was asked for the body, nothing else.
    Begun,
    /// So many bytes.
    Size(usize),
    /// A newline, or so many bytes.
    Line(usize),
}

impl Fields for Input {}

impl Class for Input {
    const NAME: &'static CStr = c"mod_wsgi.Input";

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition
            .method(c"read", Self::read)
            .method(c"readline", Self::readline)
            .method(c"readlines", Self::readlines)
            .method(c"close", Self::close)
            .iterator(Self::next)
    }
}

/// The only argument of a method: a number; none, `None` or a negative one is "no limit".
fn limit<'py>(py: Python<'py>, method: &str, arguments: Args<'_, 'py>) -> PyResult<'py, Option<usize>> {
    if arguments.len() > 1 {
        let text = format!("{method}() takes at most 1 argument ({} given)", arguments.len());
        return py.raise(Exception::Type, &text);
    }
    match arguments.get(0).filter(|size| !size.is_none()) {
        Some(size) => Ok(usize::try_from(size.to_int()?).ok()),
        None => Ok(None),
    }
}

impl Inner {
    fn waiting(&self) -> &[u8] {
        self.body.get(self.taken..).unwrap_or_default()
    }

    /// Where what is wanted ends within what is there.
    fn end_of(&self, until: Until) -> Option<usize> {
        let waiting = self.waiting();
        match until {
            Until::Begun => self.body_begun.then_some(0),
            Until::Size(size) => (waiting.len() >= size).then_some(size),
            Until::Line(size) => {
                let within = waiting.get(..size).unwrap_or(waiting);
                match within.iter().position(|byte| *byte == b'\n') {
                    Some(at) => Some(at + 1),
                    None => (within.len() == size).then_some(size),
                }
            }
        }
    }

    /// Reads until what is wanted is there, or the body has ended. Called detached.
    fn fill(&mut self, until: Until) -> Result<(), String> {
        // Once it has failed every read fails, also one that what came before would be enough for, or nothing.
        if let Some(failed) = &self.body_failed {
            return Err(failed.clone());
        }
        while self.end_of(until).is_none() && !self.body_ended {
            let Some(exchange) = &mut self.exchange else {
                return if self.given_up { Err("the time of the request is over".to_owned()) } else { Ok(()) };
            };
            if self.body.capacity() == 0 {
                self.body = spare::take();
            }
            self.body.drain(..self.taken);
            self.taken = 0;
            let missing = match until {
                Until::Size(size) => size.saturating_sub(self.body.len()),
                Until::Begun | Until::Line(_) => 0,
            };
            self.body_begun = true;
            let (read, time) = self.tally.time(|| exchange.read(missing.clamp(LEAST, PIECE), &mut self.body));
            self.tally.input_reads += 1;
            self.tally.input_time += time;
            match read {
                Ok(last) => self.body_ended = last,
                Err(why) => {
                    self.body_failed = Some(format!("the request body was already in an error state: {why}"));
                    return Err(why);
                }
            }
        }
        Ok(())
    }
}

impl Input {
    fn take<'py>(&self, py: Python<'py>, what: &str, until: Until) -> PyResult<'py, Object<'py>> {
        let request = &self.0;
        request.expect_running(py, what)?;
        let there = request
            .with(py, |inner| inner.body_failed.is_none() && (inner.body_ended || inner.end_of(until).is_some()));
        if !there {
            let filled = request.with_waiting(py, Wait::Input, |inner| inner.fill(until));
            if let Err(why) = filled {
                return py.raise(Exception::Os, &why);
            }
        }
        // A bytes object is not tracked by the garbage collector, so it may be made with the lock held.
        request.with(py, |inner| {
            let waiting = inner.waiting();
            let end = inner.end_of(until).unwrap_or(waiting.len());
            let taken = py.bytes(waiting.get(..end).unwrap_or_default());
            inner.taken += end;
            inner.tally.input_length += end as u64;
            taken
        })
    }

    fn read<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let until = match limit(py, "read", arguments)?.unwrap_or(usize::MAX) {
            // The client may wait for "100 Continue", and that somebody reads is what sends it.
            0 => Until::Begun,
            size => Until::Size(size),
        };
        this.take(py, "read() called on wsgi.input", until)
    }

    fn readline<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let size = limit(py, "readline", arguments)?.unwrap_or(usize::MAX);
        this.take(py, "readline() called on wsgi.input", Until::Line(size))
    }

    fn readlines<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let hint = limit(py, "readlines", arguments)?.filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let (mut lines, mut total) = (Vec::new(), 0_usize);
        while total < hint {
            let line = this.take(py, "readlines() called on wsgi.input", Until::Line(usize::MAX))?;
            let length = line.as_bytes().map_or(0, <[u8]>::len);
            if length == 0 {
                break;
            }
            total = total.saturating_add(length);
            lines.push(line);
        }
        py.list(lines)
    }

    fn close<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "Input.close", arguments)?;
        this.0.expect_running(py, "close() called on wsgi.input")?;
        Ok(py.none())
    }

    fn next<'py>(py: Python<'py>, this: &Self) -> PyResult<'py, Option<Object<'py>>> {
        let line = this.take(py, "iteration over wsgi.input", Until::Line(usize::MAX))?;
        Ok(Some(line).filter(|line| line.as_bytes().is_some_and(|line| !line.is_empty())))
    }
}
