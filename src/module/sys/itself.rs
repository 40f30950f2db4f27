//! This library itself: where it was loaded from, and that it stays there when httpd unloads it, as it does at every reload: its
//! code runs in threads and at exit.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{path, stay};
#[cfg(windows)]
pub use windows::{path, stay};

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_of_this_code_is_known() {
        let path = super::path().unwrap();
        assert!(path.is_absolute() && path.is_file(), "{}", path.display());
        super::stay();
    }
}
