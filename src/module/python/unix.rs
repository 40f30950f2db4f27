//! Where Pythons and hosts are on Unix.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Embedded, setting, version_of_environment, version_of_name};
use crate::identity::Identity;

/// The start script of daemons, beside the hosts.
pub const START_SCRIPT: &str = "mod_wsgi_daemon.py";

/// Whether a folder is that of the hosts.
pub fn has_hosts(folder: &Path) -> bool {
    folder.join(START_SCRIPT).is_file()
}

/// The Python program of a virtual environment or prefix; else the first `python3` in `PATH` that `may_run` allows.
///
/// # Errors
/// Says what is not there and what to do.
pub fn program(home: Option<&str>, may_run: impl Fn(&Path) -> bool) -> Result<PathBuf, String> {
    match home {
        Some(home) => program_in(home),
        None => program_on_path(may_run).ok_or_else(|| {
            "no python3 that this user may run is found in PATH: install Python, or name one with python-home= or WSGIPythonHome".to_owned()
        }),
    }
}

fn program_in(home: &str) -> Result<PathBuf, String> {
    let prefix = Path::new(home.split(':').next().unwrap_or(home));
    let shown = prefix.display();
    if let Some(refusing) = folder_that_refuses_us(prefix) {
        let uid = rustix::process::geteuid().as_raw();
        let who = Identity { uid, groups: Vec::new() }.describe();
        return Err(format!(
            "{who} may not pass '{}' on the way to '{shown}': let that user enter it, for example with chmod o+x or setfacl -m u:USER:x, or move the virtual environment",
            refusing.display()
        ));
    }
    if prefix.is_file() {
        return Err(format!("'{shown}' is a file: the Python home is a folder, the one that holds bin/python3"));
    }
    if !prefix.exists() {
        return Err(format!(
            "'{shown}' does not exist: create the virtual environment with python3 -m venv {shown}, or mend the path"
        ));
    }
    let programs = ["bin/python3", "bin/python"].map(|name| prefix.join(name));
    let found = programs.iter().find(|program| program.exists());
    found.cloned().ok_or_else(|| match programs.iter().find(|program| program.is_symlink()) {
        Some(broken) => format!(
            "'{}' is a link to a Python that is gone: make the virtual environment anew with python3 -m venv --clear {shown}",
            broken.display()
        ),
        None => format!("'{shown}' holds no bin/python3: it is neither a virtual environment nor a Python prefix"),
    })
}

/// The first folder on the way to `path` that this process may not enter.
fn folder_that_refuses_us(path: &Path) -> Option<PathBuf> {
    let mut above: Vec<_> = path.ancestors().collect();
    above.reverse();
    let denied =
        |path: &&Path| std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    above.into_iter().find(denied).and_then(Path::parent).map(Path::to_path_buf)
}

fn program_on_path(may_run: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .find(|program| program.is_file() && may_run(program))
}

/// What embedded mode loads for a virtual environment or prefix, or for the system's Python.
///
/// # Errors
/// Says what is not there and what to do.
pub fn embedded(home: Option<&str>) -> Result<Embedded, String> {
    let program = program(home, |_| true)?;
    let real = std::fs::canonicalize(&program).map_err(|error| format!("'{}': {error}", program.display()))?;
    let environment = home.map(|home| Path::new(home.split(':').next().unwrap_or(home)));
    let settings = environment.and_then(|folder| std::fs::read_to_string(folder.join("pyvenv.cfg")).ok());
    let version = version_of_program(&real, || settings.as_deref().and_then(version_of_environment))
        .ok_or_else(|| format!("the version of '{}' cannot be told from its name or folder", real.display()))?;
    let is_environment = settings.is_some();
    Ok(Embedded {
        libraries: libraries(
            &version,
            &real,
            settings.as_deref().and_then(|settings| setting(settings, "home")).map(Path::new),
        ),
        version,
        program: (is_environment || environment.is_none()).then_some(program),
        home: environment.filter(|_| !is_environment).map(Path::to_path_buf),
    })
}

/// Beside the program; beside the one that it was copied from; where the system looks.
fn libraries(version: &str, program: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let name = library_name(version);
    let mut folders = Vec::new();
    for prefix in [program.parent(), home].into_iter().filter_map(|folder| folder?.parent()) {
        folders.extend([prefix.join("lib"), prefix.join("lib64")]);
        if cfg!(target_os = "linux") {
            folders.push(prefix.join(format!("lib/{}-linux-gnu", std::env::consts::ARCH)));
        }
    }
    let mut found: Vec<_> = folders.into_iter().map(|folder| folder.join(&name)).filter(|path| path.exists()).collect();
    found.push(PathBuf::from(name));
    found
}

/// The file name of a Python's shared library.
#[must_use]
pub fn library_name(version: &str) -> String {
    if cfg!(target_os = "macos") { format!("libpython{version}.dylib") } else { format!("libpython{version}.so.1.0") }
}

/// The file name of the host for a version, as `importlib` would name it without the platform.
#[must_use]
pub fn host_name(version: &str) -> String {
    format!("mod_wsgi_host.cpython-{}.so", version.replace('.', ""))
}

/// Whether a program is a free-threaded Python, as far as its file and its folders tell.
#[must_use]
pub fn is_free_threaded(program: &Path) -> bool {
    let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
    version_of_program(&real, || None).is_some_and(|version| version.ends_with('t'))
}

/// `3.11`, or `3.14t` of a free-threaded Python. A program that was copied into a virtual environment has no number in its
/// name, and the settings of one, which come last, do not tell a free-threaded Python.
fn version_of_program(real: &Path, settings: impl FnOnce() -> Option<String>) -> Option<String> {
    let prefix = real.parent()?.parent()?;
    let version = version_of_name(real).or_else(|| version_of_prefix(prefix)).or_else(settings)?;
    if version.ends_with('t') {
        return Some(version);
    }
    // CPython's own installation makes python3.14 another name of python3.14t.
    let threaded = format!("{version}t");
    let has_library = |version: &str| prefix.join("lib").join(format!("python{version}")).is_dir();
    let is_threaded = is_same_file(real, &real.with_file_name(format!("python{threaded}")))
        || (has_library(&threaded) && !has_library(&version));
    Some(if is_threaded { threaded } else { version })
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    place(one).is_ok_and(|one| place(other).is_ok_and(|other| one == other))
}

/// The one `lib/python3.X` below a prefix.
fn version_of_prefix(prefix: &Path) -> Option<String> {
    let entries = std::fs::read_dir(prefix.join("lib")).ok()?;
    let mut versions: Vec<_> =
        entries.filter_map(|entry| version_of_name(Path::new(&entry.ok()?.file_name()))).collect();
    versions.dedup();
    (versions.len() == 1).then(|| versions.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_host_is_named_as_importlib_looks_for_it() {
        assert_eq!(host_name("3.14t"), "mod_wsgi_host.cpython-314t.so");
    }

    #[test]
    fn a_home_that_is_not_there_says_how_to_make_one() {
        let refused = program(Some("/no/such/venv"), |_| true).unwrap_err();
        assert!(refused.starts_with("'/no/such/venv' does not exist: create"), "{refused}");
    }

    /// The settings of a virtual environment say `3.14.0` whatever the build.
    #[test]
    fn a_free_threaded_python_is_told_in_every_layout() {
        let folder = std::env::temp_dir().join(format!("mod_wsgi-python-{}", std::process::id()));
        let [prefix, renamed, linked, copied] = ["prefix", "renamed", "linked", "copied"].map(|name| folder.join(name));
        for environment in [&prefix, &renamed, &linked, &copied] {
            std::fs::create_dir_all(environment.join("bin")).unwrap();
            std::fs::create_dir_all(environment.join("lib/python3.14t")).unwrap();
        }
        for environment in [&linked, &copied] {
            std::fs::write(environment.join("pyvenv.cfg"), "home = /opt/python/bin\nversion = 3.14.0\n").unwrap();
        }
        std::fs::write(prefix.join("bin/python3.14t"), "").unwrap();
        symlink("python3.14t", prefix.join("bin/python3")).unwrap();
        std::fs::create_dir_all(renamed.join("lib/python3.14")).unwrap();
        std::fs::write(renamed.join("bin/python3.14t"), "").unwrap();
        std::fs::hard_link(renamed.join("bin/python3.14t"), renamed.join("bin/python3.14")).unwrap();
        symlink("python3.14", renamed.join("bin/python3")).unwrap();
        symlink(renamed.join("bin/python3"), linked.join("bin/python3")).unwrap();
        std::fs::write(copied.join("bin/python3"), "").unwrap();
        let homes = [&prefix, &renamed, &linked, &copied];
        let found = homes.map(|home| embedded(home.to_str()).map(|found| found.version));
        let told = homes.map(|home| is_free_threaded(&home.join("bin/python3")));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [(); 4].map(|()| Ok("3.14t".to_owned())));
        assert_eq!(told, [true; 4]);
    }
}
