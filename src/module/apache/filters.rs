//! What httpd's output filters do with a response.

use std::ffi::CStr;

use super::request::Request;

/// The filters of httpd itself that pass the bytes of a body on and never look at them.
const BLIND: [&CStr; 6] = [c"byterange", c"chunk", c"content_length", c"core", c"http_header", c"http_outerror"];

impl Request<'_> {
    /// Whether the bytes of the response go to the client's socket without anything in this process looking at them: no module
    /// changes, encrypts or stores the response. The kernel alone reads them then, and memory that somebody else may take
    /// away is an error of the write, not the end of the process.
    #[must_use]
    pub fn body_goes_unseen(self) -> bool {
        // SAFETY: the request is live and this thread serves it; its filters are a list that ends with null, and their names
        // are NUL-terminated.
        unsafe {
            let mut filter = (*self.raw()).output_filters;
            while let Some(one) = filter.as_ref() {
                if !BLIND.contains(&CStr::from_ptr((*one.frec).name)) {
                    return false;
                }
                filter = one.next;
            }
        }
        true
    }
}
