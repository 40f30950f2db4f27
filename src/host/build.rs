//! Tells the crate which Python it is compiled for, as `cfg(Py_3_12)` and the like, and the linker that Python's symbols are
//! there when the library is loaded. For Windows `pyo3` names the DLL of each symbol.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") {
        // The library is not to name the folder it was built in.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup,-install_name,mod_wsgi_host.so");
    }
}
