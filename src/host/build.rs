//! Tells the crate which Python it is compiled for, as `cfg(Py_3_12)` and the like, and the linker that Python's symbols are
//! there when the library is loaded. For Windows `pyo3` names the DLL of each symbol.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    let part = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    match (part("OS").as_str(), part("ENV").as_str()) {
        // The library is not to name the folder it was built in.
        ("macos", _) => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup,-install_name,mod_wsgi_host.so");
        }
        // Data that is not declared as a DLL's would be mended when the library is loaded, where it is near enough.
        ("windows", "gnu") => println!("cargo:rustc-cdylib-link-arg=-Wl,--disable-auto-import"),
        _ => {}
    }
}
