//! `wsgi.file_wrapper`: an iterable over the blocks of a file-like object.
//!
//! Source: PEP 3333, "Optional Platform-Specific File Handling".

use crate::ignore;
use crate::python::{Class, Definition, Exception, Fields, Object, PyResult, Python, Stored, Visit};
use std::ffi::CStr;
use std::sync::Mutex;

/// `mod_wsgi.FileWrapper`.
pub struct FileWrapper {
    /// `None` after `close()`.
    file: Mutex<Option<Stored>>,
    /// Size of a block in bytes.
    block: i64,
}

impl Fields for FileWrapper {
    fn fields(&self, visit: &mut Visit<'_>) {
        // Whoever holds the lock holds the reference as well, and does so for the duration of a copy only; the collector
        // then sees one reference it cannot explain, and lets the object live.
        if let Ok(file) = self.file.try_lock() {
            if let Some(file) = &*file {
                visit.field(file);
            }
        }
    }
}

impl Class for FileWrapper {
    const NAME: &'static CStr = c"mod_wsgi.FileWrapper";
    const HAS_FIELDS: bool = true;
    const IS_BASE: bool = true;

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition
            .constructor(Self::new)
            .method(c"close", |py, this, _arguments| this.close(py))
            .getter(c"filelike", |py, this| this.file(py))
            .getter(c"blksize", |py, this| py.int(this.block))
            .iterator(Self::next)
    }
}

impl FileWrapper {
    fn new<'a, 'py>(
        py: Python<'py>,
        arguments: &'a Object<'py>,
        named: Option<&'a Object<'py>>,
    ) -> PyResult<'py, Self> {
        let by_name = |name| PyResult::Ok(named.map(|named| Ok(named.entry(&py.text(name)?))).transpose()?.flatten());
        let file = match arguments.item(0)? {
            Some(file) => Some(file),
            None => by_name("filelike")?,
        };
        let block = match arguments.item(1)? {
            Some(block) => Some(block),
            None => by_name("blksize")?,
        };
        if arguments.item(2)?.is_some() {
            return py.raise(Exception::Type, "FileWrapper() takes at most 2 arguments");
        }
        if let Some(named) = named {
            let names = named.iterator()?;
            while let Some(name) = names.next()? {
                let name = name.to_text()?;
                if !["filelike", "blksize"].contains(&&*name) {
                    let text = format!("'{name}' is an invalid keyword argument for FileWrapper()");
                    return py.raise(Exception::Type, &text);
                }
            }
        }
        let Some(file) = file else {
            return py.raise(Exception::Type, "FileWrapper() missing required argument 'filelike' (pos 1)");
        };
        let block = block.map_or(Ok(8192), |block| block.to_int())?;
        if block < 0 {
            return py.raise(Exception::Value, "blksize must not be negative");
        }
        Ok(Self { file: Mutex::new(Some(Stored::new(file))), block })
    }

    /// What it wraps.
    ///
    /// # Errors
    /// `ValueError` after `close()`.
    pub fn file<'py>(&self, py: Python<'py>) -> PyResult<'py, Object<'py>> {
        let file = py.lock(&self.file).as_ref().map(|file| file.get(py).clone());
        match file {
            Some(file) => Ok(file),
            None => py.raise(Exception::Value, "I/O operation on closed file"),
        }
    }

    fn close<'py>(&self, py: Python<'py>) -> PyResult<'py, Object<'py>> {
        let file = py.lock(&self.file).take();
        if let Some(file) = file {
            // What the file says to being closed is nobody's business here: PEP 3333 asks for the call alone.
            ignore(file.get(py).call_method("close", []));
            file.clear(py);
        }
        Ok(py.none())
    }

    fn next<'py>(py: Python<'py>, this: &Self) -> PyResult<'py, Option<Object<'py>>> {
        let block = this.file(py)?.call_method("read", [&py.int(this.block)?])?;
        let length = block.expect_bytes("file wrapper read() must return bytes")?.len();
        Ok(Some(block).filter(|_| length > 0))
    }
}
