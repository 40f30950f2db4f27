//! Who this process is, for its datagrams.

use crate::application::interpreters::Interpreters;
use crate::python::{PyResult, Python};
use mod_wsgi_core::telemetry::Identity;

/// Reads it. Called detached.
pub fn read(interpreters: &'static Interpreters) -> Identity {
    let launch = interpreters.launch();
    let part = |at: usize| launch.apache_version.get(at).copied().unwrap_or_default();
    let apache = format!("Apache/{}.{}.{}", part(0), part(1), part(2));
    let mut identity = Identity {
        mod_wsgi_version: mod_wsgi_core::VERSION_TEXT.into(),
        apache_version: apache.into_bytes(),
        mpm_name: launch.apache_mpm.clone(),
        process_group: launch.process_group.clone(),
        parent_pid: crate::sys::process::parent(),
        ..Identity::default()
    };
    // What Python cannot say is left out.
    crate::ignore(
        interpreters.main_python().attach(|py| put_python(py, &mut identity).map_err(|raised| raised.text())),
    );
    identity
}

fn put_python<'py>(py: Python<'py>, identity: &mut Identity) -> PyResult<'py, ()> {
    let sys = py.import("sys")?;
    let version = sys.get("version")?.to_text()?;
    identity.python_version = version.split_whitespace().next().unwrap_or_default().into();
    let interval = sys.call_method("getswitchinterval", [])?.repr();
    identity.switch_interval = interval.parse().unwrap_or_default();
    identity.hostname = py.import("os")?.call_method("uname", [])?.get("nodename")?.to_text()?.into_bytes();
    Ok(())
}
