//! What to do about exceptions whose cause is known: one more line behind the traceback.

use super::interpreters::Interpreter;
use crate::python::{PyResult, Raised};

/// What extension modules say that do not work outside of the main interpreter.
const ONE_INTERPRETER: [&str; 6] = [
    "subinterpreter",
    "sub-interpreter",
    "Interpreter change detected",
    "once per process",
    "one interpreter per process",
    // NumPy spells it so.
    "CPU dispatcher tracer already initlized",
];

/// A line that names the cause and the cure, if the exception is one that administrators meet.
pub fn advice(interpreter: &Interpreter, raised: &Raised<'_>) -> Option<String> {
    let text = raised.text();
    let kind = raised.value().type_name();
    if !interpreter.name.is_empty() && ONE_INTERPRETER.iter().any(|said| text.contains(said)) {
        let group = String::from_utf8_lossy(&interpreter.name);
        return Some(format!(
            "WSGI7040: this module works in the main interpreter only, and this is the sub-interpreter '{group}': run the \
             application in the main one, with WSGIApplicationGroup %{{GLOBAL}} or application-group=%{{GLOBAL}}"
        ));
    }
    if kind == "ModuleNotFoundError" {
        let searched = searched(raised).unwrap_or_default();
        return Some(format!(
            "WSGI7041: {searched}; a package of another virtual environment is found with python-home= or WSGIPythonHome, a \
             module of your own with python-path= or WSGIPythonPath naming its folder"
        ));
    }
    None
}

/// Where Python has looked, and which Python that is.
fn searched<'py>(raised: &Raised<'py>) -> PyResult<'py, String> {
    let sys = raised.value().py().import("sys")?;
    let (prefix, version) = (sys.get("prefix")?.to_text()?, sys.get("version")?.to_text()?);
    let mut folders = Vec::new();
    let path = sys.get("path")?.iterator()?;
    while let Some(folder) = path.next()? {
        folders.push(format!("'{}'", folder.to_text()?));
    }
    let version = version.split_whitespace().next().unwrap_or_default();
    Ok(format!("Python {version} of '{prefix}' has looked in {}", folders.join(", ")))
}
