//! Starting Python in a process that is not one: embedded mode.
//!
//! Source: PEP 587; docs.python.org, "Python Initialization Configuration".

use mod_wsgi_core::launch::Launch;
use pyo3::ffi;
use std::ffi::{CStr, CString};

/// What a failed status says.
pub(super) fn status_text(status: &ffi::PyStatus) -> String {
    let text = |raw: *const std::ffi::c_char| {
        // SAFETY: the texts of a status are null or static C strings.
        (!raw.is_null()).then(|| unsafe { CStr::from_ptr(raw) }.to_string_lossy())
    };
    let message = text(status.err_msg).unwrap_or("no reason given".into());
    match text(status.func) {
        Some(function) => format!("{function}: {message}"),
        None => message.into_owned(),
    }
}

/// A configuration that is cleared when it is no longer needed.
struct Config(Box<ffi::PyConfig>);

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: it was initialized in `initialize`.
        unsafe { ffi::PyConfig_Clear(&mut *self.0) }
    }
}

fn checked(status: ffi::PyStatus) -> Result<(), String> {
    // SAFETY: a status is plain data.
    if unsafe { ffi::PyStatus_Exception(status) } != 0 { Err(status_text(&status)) } else { Ok(()) }
}

fn c_text(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|_| "a configured value holds a NUL byte".to_owned())
}

impl Config {
    #[cfg(unix)]
    fn set(
        &mut self,
        field: impl FnOnce(&mut ffi::PyConfig) -> *mut *mut libc::wchar_t,
        value: &[u8],
    ) -> Result<(), String> {
        let value = c_text(value)?;
        let field = field(&mut self.0);
        // SAFETY: the field is one of this configuration's; the text is NUL-terminated.
        checked(unsafe { ffi::PyConfig_SetBytesString(&mut *self.0, field, value.as_ptr()) })
    }

    /// Windows' Python would read bytes as of the code page.
    #[cfg(windows)]
    fn set(
        &mut self,
        field: impl FnOnce(&mut ffi::PyConfig) -> *mut *mut libc::wchar_t,
        value: &[u8],
    ) -> Result<(), String> {
        use std::os::windows::ffi::OsStrExt;

        c_text(value)?;
        let value: Vec<_> = mod_wsgi_core::os_text::os_text(value).encode_wide().chain([0]).collect();
        let field = field(&mut self.0);
        // SAFETY: the field is one of this configuration's; the text is NUL-terminated, and copied.
        checked(unsafe { ffi::PyConfig_SetString(&mut *self.0, field, value.as_ptr()) })
    }

    fn add_warning(&mut self, option: &[u8]) -> Result<(), String> {
        // Warning options are ASCII; whatever is not cannot match anything.
        let wide: Vec<libc::wchar_t> =
            String::from_utf8_lossy(option).chars().map(|character| character as libc::wchar_t).chain([0]).collect();
        // SAFETY: the list is this configuration's; the text is NUL-terminated and copied.
        checked(unsafe { ffi::PyWideStringList_Append(&mut self.0.warnoptions, wide.as_ptr()) })
    }
}

/// Starts Python; this thread becomes its main thread, and is detached again when this returns. `adopt` runs attached.
///
/// # Errors
/// What CPython answers.
pub fn initialize<R>(launch: &Launch, adopt: impl for<'py> FnOnce(super::Python<'py>) -> R) -> Result<R, String> {
    // SAFETY: all-zero is what `PyConfig_InitPythonConfig` expects to overwrite.
    let mut config = Config(Box::new(unsafe { std::mem::zeroed() }));
    // SAFETY: the structure has the layout of the CPython version this host is built for, checked when it was loaded.
    unsafe { ffi::PyConfig_InitPythonConfig(&mut *config.0) };
    config.0.install_signal_handlers = 0;
    config.0.parse_argv = 0;
    if launch.python_optimize > 0 {
        config.0.optimization_level = launch.python_optimize as i32;
    }
    if launch.dont_write_bytecode {
        config.0.write_bytecode = 0;
    }
    #[cfg(Py_GIL_DISABLED)]
    {
        config.0.enable_gil = i32::from(!launch.free_threading);
    }
    if let Some(seed) = launch.hash_seed {
        config.0.use_hash_seed = 1;
        config.0.hash_seed = seed.into();
    }
    for option in &launch.python_warnings {
        config.add_warning(option)?;
    }
    if let Some(program) = &launch.python_program {
        config.set(|config| &raw mut config.program_name, program)?;
        // Windows' Python 3.10 takes httpd.exe for the program otherwise, and finds no virtual environment there.
        #[cfg(windows)]
        config.set(|config| &raw mut config.executable, program)?;
    }
    if let Some(home) = &launch.python_home {
        config.set(|config| &raw mut config.home, home)?;
    }
    // SAFETY: Python is not initialized yet in this process, as the caller ensures; afterwards this thread is attached,
    // and is detached after `adopt`.
    unsafe {
        checked(ffi::Py_InitializeFromConfig(&*config.0))?;
        let answer = adopt(super::Python::assume());
        ffi::PyEval_SaveThread();
        Ok(answer)
    }
}
