//! The socket to the client, beneath all of httpd's filters.

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ffi;
use super::request::Request;

/// The socket of a request's client. A request of HTTP/2 shares it with others, and has none.
pub struct ClientSocket<'r> {
    socket: *mut ffi::apr_socket_t,
    descriptor: i32,
    /// What the limit was before it was changed, in microseconds.
    timeout: Option<i64>,
    request: PhantomData<&'r ()>,
}

impl<'r> ClientSocket<'r> {
    /// The socket, if the request has one for itself.
    #[must_use]
    pub fn of(r: Request<'r>) -> Option<Self> {
        let connection = r.connection();
        let (mut socket, mut descriptor) = (std::ptr::null_mut(), -1);
        // SAFETY: the connection is live and served by this thread.
        unsafe {
            if (*connection).master.is_null() {
                socket = ffi::ap_get_conn_socket(connection);
            }
            if socket.is_null() || ffi::apr_os_sock_get(&raw mut descriptor, socket) != 0 || descriptor < 0 {
                return None;
            }
        }
        Some(Self { socket, descriptor, timeout: None, request: PhantomData })
    }

    /// Limits each read and write until this value goes.
    pub fn limit(&mut self, limit: Duration) {
        let mut before = 0;
        // SAFETY: the socket lives as long as the connection.
        unsafe {
            if ffi::apr_socket_timeout_get(self.socket, &raw mut before) == 0 {
                self.timeout.get_or_insert(before);
                ffi::apr_socket_timeout_set(self.socket, i64::try_from(limit.as_micros()).unwrap_or(i64::MAX));
            }
        }
    }

    /// For waiting.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open as long as the connection.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }

    fn events(&self, asked: PollFlags) -> PollFlags {
        let descriptor = self.descriptor();
        let mut polled = [PollFd::new(&descriptor, asked)];
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&none)) {
            Ok(_) => polled.iter().fold(PollFlags::empty(), |all, file| all | file.revents()),
            Err(_) => PollFlags::empty(),
        }
    }

    /// Whether a write would not wait. Of what cannot be told, yes.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.events(PollFlags::OUT).is_empty()
    }

    /// Whether the client has certainly gone: it takes nothing more. That it sends nothing more is no sign.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        // Linux tells of it in any case, macOS beside what was asked for; asked for input, also where only that has ended.
        self.events(PollFlags::OUT).intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

impl Drop for ClientSocket<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.timeout {
            // SAFETY: as in `limit`.
            unsafe { ffi::apr_socket_timeout_set(self.socket, before) };
        }
    }
}
