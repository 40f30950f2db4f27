//! Where Pythons and hosts are on Windows: a Python is a folder with `python.exe` and `python311.dll`, a virtual environment
//! has `pyvenv.cfg`, and none of the two files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Embedded, minor_version, setting, version_of_name};

/// Whether a folder is that of the hosts.
pub fn has_hosts(folder: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(folder) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("mod_wsgi_host."))
}

/// What embedded mode loads for a virtual environment or a folder of Python; else for the first Python in `PATH`.
///
/// # Errors
/// Says what is not there and what to do.
pub fn embedded(home: Option<&str>) -> Result<Embedded, String> {
    match home {
        Some(home) => in_home(Path::new(home)),
        None => on_path(&std::env::var_os("PATH").unwrap_or_default()),
    }
}

fn in_home(home: &Path) -> Result<Embedded, String> {
    let shown = home.display();
    if !home.is_dir() {
        return Err(format!(
            "'{shown}' is not a folder: create the virtual environment with python -m venv {shown}, or mend the path"
        ));
    }
    let Ok(settings) = std::fs::read_to_string(home.join("pyvenv.cfg")) else {
        let (version, library) = library_in(home, false).ok_or_else(|| {
            format!("'{shown}' holds no python3XY.dll: it is neither a virtual environment nor a folder of Python")
        })?;
        return Ok(Embedded { version, libraries: vec![library], program: None, home: Some(home.to_path_buf()) });
    };
    let base = setting(&settings, "home").unwrap_or_default();
    let program =
        setting(&settings, "executable").and_then(|program| version_of_name(&Path::new(program).with_extension("")));
    let is_free_threaded = program.is_some_and(|version| version.ends_with('t'));
    let (version, library) = library_in(Path::new(base), is_free_threaded).ok_or_else(|| {
        format!("the virtual environment '{shown}' was made with a Python in '{base}', where there is no python3XY.dll: make it anew with python -m venv --clear {shown}")
    })?;
    Ok(Embedded {
        version,
        libraries: vec![library],
        program: Some(home.join("Scripts").join("python.exe")),
        home: None,
    })
}

/// The first folder of a Python. Those of Microsoft's store have links that only a user can follow, and no library.
fn on_path(path: &OsStr) -> Result<Embedded, String> {
    let found = std::env::split_paths(path).find_map(|folder| {
        let program = Some(folder.join("python.exe")).filter(|program| program.is_file())?;
        let (version, library) = library_in(&folder, false)?;
        Some(Embedded { version, libraries: vec![library], program: Some(program), home: None })
    });
    found.ok_or_else(|| {
        "no folder with python.exe and python3XY.dll is found in Apache's PATH: install Python for all users, or name its folder with WSGIPythonHome".into()
    })
}

/// The library of the Python in a folder, and its version; where one folder has both kinds, the one that is asked for.
fn library_in(folder: &Path, is_free_threaded: bool) -> Option<(String, PathBuf)> {
    let files = std::fs::read_dir(folder).ok()?;
    let names = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<_> = names.filter_map(|name| Some((version_of_library(&name)?, folder.join(&name)))).collect();
    found.sort();
    let asked = found.iter().position(|(version, _)| version.ends_with('t') == is_free_threaded).unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(asked))
}

/// `3.11` of `python311.dll`, `3.14t` of `python314t.dll`; `python3.dll` has no version.
fn version_of_library(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let digits = name.strip_suffix(".dll")?.strip_prefix("python3")?;
    let version = minor_version(&format!("3.{digits}"))?;
    Some(if digits.ends_with('t') { format!("{version}t") } else { version })
}

/// The file name of a Python's library.
#[must_use]
pub fn library_name(version: &str) -> String {
    format!("python{}.dll", version.replace('.', ""))
}

/// The file name of the host for a version.
#[must_use]
pub fn host_name(version: &str) -> String {
    format!("mod_wsgi_host.cpython-{}.dll", version.replace('.', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_of_windows_is_found_by_its_library() {
        let base = std::env::temp_dir().join(format!("mod_wsgi-windows-{}", std::process::id()));
        let (python, venv) = (base.join("Python314"), base.join("venv"));
        std::fs::create_dir_all(&python).unwrap();
        std::fs::create_dir_all(&venv).unwrap();
        for name in ["python.exe", "python3.dll", "python314.dll", "python314t.dll"] {
            std::fs::write(python.join(name), "").unwrap();
        }
        let settings = format!("home = {}\nexecutable = {0}/python3.14t.exe\n", python.display());
        std::fs::write(venv.join("pyvenv.cfg"), settings).unwrap();

        let found = embedded(Some(python.to_str().unwrap())).unwrap();
        assert_eq!((&*found.version, found.home.as_deref()), ("3.14", Some(&*python)));
        assert_eq!(found.libraries, [python.join(library_name("3.14"))]);
        let found = embedded(Some(venv.to_str().unwrap())).unwrap();
        assert_eq!((&*found.version, found.program), ("3.14t", Some(venv.join("Scripts").join("python.exe"))));
        assert_eq!(found.libraries, [python.join("python314t.dll")]);
        let path = std::env::join_paths([&venv, &python]).unwrap();
        assert_eq!(on_path(&path).unwrap().program, Some(python.join("python.exe")));
        std::fs::remove_dir_all(&base).unwrap();
        assert!(embedded(Some(venv.to_str().unwrap())).unwrap_err().contains("is not a folder"));
    }

    #[test]
    fn hosts_of_windows_are_found_by_their_name() {
        let folder = std::env::temp_dir().join(format!("mod_wsgi-windows-hosts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!has_hosts(&folder));
        std::fs::write(folder.join(host_name("3.14t")), "").unwrap();
        assert!(has_hosts(&folder) && folder.join("mod_wsgi_host.cpython-314t.dll").is_file());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
