//! Paths and variables: as bytes, which is how httpd, the wire and the launch block have them, and as the system has them.
//!
//! On Unix the two are the same bytes. Windows has UTF-16, and httpd's own paths are UTF-8 there.

use std::borrow::Cow;
use std::ffi::OsStr;

/// Bytes as a text of the system.
#[cfg(unix)]
#[must_use]
pub fn os_text(bytes: &[u8]) -> Cow<'_, OsStr> {
    Cow::Borrowed(std::os::unix::ffi::OsStrExt::from_bytes(bytes))
}

/// A text of the system as bytes.
#[cfg(unix)]
#[must_use]
pub fn bytes_of(text: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(std::os::unix::ffi::OsStrExt::as_bytes(text))
}

/// Bytes as a text of the system; what is not UTF-8 is replaced by U+FFFD, which no file has in its name.
#[cfg(not(unix))]
#[must_use]
pub fn os_text(bytes: &[u8]) -> Cow<'_, OsStr> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(OsStr::new(text)),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// A text of the system as bytes; half of a surrogate pair is replaced by U+FFFD.
#[cfg(not(unix))]
#[must_use]
pub fn bytes_of(text: &OsStr) -> Cow<'_, [u8]> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_system_keeps_its_bytes() {
        let text = "/srv/größe".as_bytes();
        assert_eq!(&*bytes_of(&os_text(text)), text);
        #[cfg(unix)]
        assert_eq!(&*bytes_of(&os_text(b"/srv/\xff")), b"/srv/\xff");
    }
}
