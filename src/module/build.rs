//! Generates the bindings to httpd and APR, and compiles the C shim.
//!
//! Where the headers are is asked of `apxs` and `apr-1-config`; `APXS` and `APR_CONFIG` in the environment name others. For
//! Windows, where they do not work, `HTTPD_ROOT` names the folder with httpd's `include` and `lib`.

use std::path::PathBuf;
use std::process::Command;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    for name in ["wrapper.h", "shim.h", "shim.c"] {
        println!("cargo:rerun-if-changed={name}");
    }
    println!("cargo:rerun-if-env-changed=APXS");
    println!("cargo:rerun-if-env-changed=APR_CONFIG");
    println!("cargo:rerun-if-env-changed=HTTPD_ROOT");

    let system = std::env::var("CARGO_CFG_TARGET_OS")?;
    let for_windows = system == "windows";
    let flags = if for_windows { windows_flags()? } else { flags()? };
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let mut text = bindings(&flags)?.to_string();
    if for_windows {
        text = imported(&text)?;
    }
    std::fs::write(out.join("httpd.rs"), text)?;

    let mut shim = cc::Build::new();
    shim.file("shim.c").flag_if_supported("-fvisibility=hidden").warnings(true);
    flags.iter().for_each(|flag| {
        shim.flag(flag);
    });
    shim.compile("wsgi_shim");

    match system.as_str() {
        // httpd has its symbols when it loads the module. The library is not to name the folder it was built in.
        "macos" => println!("cargo:rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup,-install_name,mod_wsgi.so"),
        // Behind the shim, which needs them too.
        "windows" => {
            DLLS.iter().for_each(|name| println!("cargo:rustc-link-lib=dylib={name}"));
            if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
                // Data that is not declared as a DLL's would be mended when the library is loaded, where it is near enough.
                println!("cargo:rustc-cdylib-link-arg=-Wl,--disable-auto-import");
            }
        }
        // httpd unloads modules at every reload; ours stays where it is, since its code runs in threads and at exit.
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete,-z,now,-z,relro"),
    }
    Ok(())
}

/// The same for Windows; the linker is told where the import libraries are.
fn windows_flags() -> Outcome<Vec<String>> {
    let root = std::env::var("HTTPD_ROOT").map_err(|_| "set HTTPD_ROOT to the folder with httpd's include and lib")?;
    let root = PathBuf::from(root);
    println!("cargo:rustc-link-search=native={}", root.join("lib").display());
    Ok(vec![format!("-I{}", root.join("include").display())])
}

/// httpd's and APR's DLLs, by the names of their import libraries.
const DLLS: [&str; 3] = ["libhttpd", "libapr-1", "libaprutil-1"];

/// The bindings as those of DLLs: there, data of another library is reached in another way than one's own.
fn imported(bindings: &str) -> Outcome<String> {
    const BLOCK: &str = "unsafe extern \"C\" {";
    let libraries = DLLS.map(|name| format!("#[link(name = \"{name}\", kind = \"dylib\")]\n"));
    match bindings.matches(BLOCK).count() {
        1 => Ok(bindings.replace(BLOCK, &format!("{}{BLOCK}", libraries.concat()))),
        count => Err(format!("bindgen made {count} blocks of functions, not one").into()),
    }
}

/// What the C compiler needs to find the headers.
fn flags() -> Outcome<Vec<String>> {
    let apxs = tool("APXS", &["apxs", "apxs2", "/usr/sbin/apxs"], &["-q", "INCLUDEDIR"])?;
    let apr = tool("APR_CONFIG", &["apr-1-config"], &["--includes", "--cppflags"])?;
    let apu = tool("APU_CONFIG", &["apu-1-config"], &["--includes"]).unwrap_or_default();
    let mut flags = vec![format!("-I{}", apxs.trim())];
    flags.extend(apr.split_whitespace().chain(apu.split_whitespace()).map(str::to_owned));
    Ok(flags)
}

fn tool(variable: &str, names: &[&str], arguments: &[&str]) -> Outcome<String> {
    let given = std::env::var(variable).ok();
    let names: Vec<&str> = given.as_deref().map_or_else(|| names.to_vec(), |name| vec![name]);
    for name in &names {
        if let Ok(output) = Command::new(name).args(arguments).output() {
            if output.status.success() {
                return Ok(String::from_utf8(output.stdout)?);
            }
        }
    }
    Err(format!(
        "none of {names:?} answers: install httpd's development files (Debian: apache2-dev), or set {variable}"
    )
    .into())
}

fn bindings(flags: &[String]) -> Outcome<bindgen::Bindings> {
    Ok(bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(flags)
        .allowlist_function("(ap|apr)_.*|wsgi_shim_.*|unixd_.*")
        .allowlist_type("authn_.*|authz_.*|(ap|apr)_.*|request_rec|server_rec|conn_rec|module|module_struct|command_rec|cmd_parms|cmd_how|process_rec|unixd_config_rec|server_addr_rec")
        .allowlist_var("AUTH[NZ]?_.*|SATISFY_.*|(AP|APR|APLOG|HTTP|OK|DECLINED|DONE|OPT|OR|RSRC|ACCESS|MODULE|REMOTE|M)_.*|OK|DECLINED|DONE|RSRC_CONF|ACCESS_CONF|ap_unixd_config|ap_server_conf|core_module")
        .blocklist_function(".*_v|ap_log_.*|.*printf.*")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_debug(false)
        .layout_tests(true)
        .merge_extern_blocks(true)
        .generate_comments(false)
        .generate()?)
}
