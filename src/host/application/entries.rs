//! Dictionaries with names that are known beforehand: what events carry, and figures.

use crate::python::{Object, PyResult, Python};
use std::time::Duration;

/// A dictionary in the making.
pub struct Entries<'py>(Object<'py>);

impl<'py> Entries<'py> {
    /// An empty one.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn new(py: Python<'py>) -> PyResult<'py, Self> {
        py.dict().map(Self)
    }

    /// Sets an entry.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn put(&self, name: &str, value: &Object<'py>) -> PyResult<'py, ()> {
        self.0.set_entry(&self.0.py().interned(name)?, value)
    }

    /// Sets an entry to an `int`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn int(&self, name: &str, value: u64) -> PyResult<'py, ()> {
        self.put(name, &int(self.0.py(), value)?)
    }

    /// Sets an entry to a `float`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn float(&self, name: &str, value: f64) -> PyResult<'py, ()> {
        self.put(name, &self.0.py().float(value)?)
    }

    /// Sets an entry to a duration in seconds.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn seconds(&self, name: &str, value: Duration) -> PyResult<'py, ()> {
        self.float(name, value.as_secs_f64())
    }

    /// Sets an entry to microseconds, told in seconds.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn time(&self, name: &str, microseconds: u64) -> PyResult<'py, ()> {
        self.float(name, microseconds as f64 / 1e6)
    }

    /// Sets an entry to a list of `int`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn ints(&self, name: &str, values: impl Iterator<Item = u64>) -> PyResult<'py, ()> {
        let py = self.0.py();
        let values = values.map(|value| int(py, value)).collect::<PyResult<'_, _>>()?;
        self.put(name, &py.list(values)?)
    }

    /// Sets an entry to a list of durations in seconds.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn all_seconds(&self, name: &str, values: impl Iterator<Item = Duration>) -> PyResult<'py, ()> {
        let py = self.0.py();
        let values = values.map(|value| py.float(value.as_secs_f64())).collect::<PyResult<'_, _>>()?;
        self.put(name, &py.list(values)?)
    }

    /// The dictionary.
    pub fn object(&self) -> &Object<'py> {
        &self.0
    }

    /// Takes the dictionary.
    pub fn done(self) -> Object<'py> {
        self.0
    }
}

fn int<'py>(py: Python<'py>, value: u64) -> PyResult<'py, Object<'py>> {
    py.int(i64::try_from(value).unwrap_or(i64::MAX))
}
