//! Numbers this build: a hash over the sources of this crate, so that a module and a host that were not built from the same
//! ones refuse each other, also where their release has one version.

use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=.");
    let mut files = Vec::new();
    sources(Path::new("."), &mut files)?;
    files.sort();
    // Fowler, Noll and Vo's hash, 64 bits: enough to tell builds apart, and the same on every machine.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in std::fs::read(file)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo:rustc-env=MOD_WSGI_CORE_SOURCES={hash:016x}");
    Ok(())
}

fn sources(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
