//! `WSGITelemetryService`, `WSGISlowRequests` and `WSGITelemetryOptions`.

use crate::directive::{Refused, Words};
use crate::launch::value_of_fields;

/// What a process is told of where, how often and what it reports. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telemetry {
    /// The socket of the receiver.
    pub path: Vec<u8>,
    /// Time between two samples.
    pub interval: u64,
    /// The duration from which on a request is reported by itself; 0 reports none.
    pub slow_requests: u64,
    /// Whether the client's `User-Agent` is reported with it.
    pub user_agent: bool,
}

value_of_fields! { Telemetry { path, interval, slow_requests, user_agent, } }

/// What the directives say so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    path: Option<Vec<u8>>,
    interval: Option<u64>,
    slow_requests: Option<u64>,
    user_agent: bool,
}

/// The longest path that a socket's address holds, in bytes.
const LONGEST_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The time between two samples without `interval=`, the shortest and the longest.
const INTERVAL: u64 = 1_000_000;
const SHORTEST_INTERVAL: u64 = 500_000;
const LONGEST: f64 = 366.0 * 86400.0;

const EXAMPLE: &str = "unix:/run/mod_wsgi-telemetry.sock";

fn microseconds(text: &str) -> Option<u64> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=LONGEST).contains(seconds))?;
    Some((seconds * 1e6).ceil() as u64)
}

impl Directives {
    /// Nothing is said.
    pub const EMPTY: Self = Self { path: None, interval: None, slow_requests: None, user_agent: false };

    /// `WSGITelemetryService unix:/path [interval=seconds]`; of several the last one counts, and the last interval.
    ///
    /// # Errors
    /// Says what is needed.
    pub fn set_service(&mut self, text: &str) -> Result<(), Refused> {
        let mut words = Words::new(text);
        let target = words.next().unwrap_or_default();
        let path = target.strip_prefix("unix:").filter(|path| path.starts_with('/')).ok_or_else(|| {
            format!(
                "'{target}' is not unix: and an absolute path: name the socket of mod_wsgi-telemetry, such as {EXAMPLE}"
            )
        })?;
        if path.len() > LONGEST_PATH {
            let length = path.len();
            return Err(format!(
                "the path of a socket may have {LONGEST_PATH} bytes, and '{path}' has {length}: choose a shorter one, such as {EXAMPLE}"
            ));
        }
        let interval = words.next().map(|word| interval(&word)).transpose()?;
        if let Some(word) = words.next() {
            return Err(format!("'{word}' is one argument too many: unix:/path and interval=seconds are taken"));
        }
        self.path = Some(path.as_bytes().to_vec());
        self.interval = interval.or(self.interval);
        Ok(())
    }

    /// `WSGISlowRequests seconds`
    ///
    /// # Errors
    /// Says what is needed.
    pub fn set_slow_requests(&mut self, text: &str) -> Result<(), Refused> {
        let refused = || {
            format!("'{text}' is not a number of seconds from 0 on: give one, such as 2.5, or 0 to report no request")
        };
        self.slow_requests = Some(microseconds(text).ok_or_else(refused)?);
        Ok(())
    }

    /// `WSGITelemetryOptions [+|-]flag …|None|All`; names without a sign say all of it anew, those with one change what there is.
    ///
    /// # Errors
    /// Says what is needed.
    pub fn set_options(&mut self, text: &str) -> Result<(), Refused> {
        let words: Vec<String> = Words::new(text).collect();
        let has_sign = |word: &String| word.starts_with(['+', '-']);
        let signed = words.iter().filter(|word| has_sign(word)).count();
        if words.is_empty() {
            return Err("None, All, or flags are needed: CaptureUserAgent is one".into());
        }
        if signed > 0 && signed < words.len() {
            return Err(
                "flags have a + or - all, or none of them has: with a sign they change what was said before".into()
            );
        }
        let mut user_agent = self.user_agent && signed > 0;
        for word in &words {
            let name = word.trim_start_matches(['+', '-']);
            user_agent = match name.to_ascii_lowercase().as_str() {
                "captureuseragent" if word.len() <= name.len() + 1 => !word.starts_with('-'),
                "none" if signed == 0 => false,
                "all" if signed == 0 => true,
                "none" | "all" => return Err(format!("'{word}' has a sign: None and All stand without one")),
                "" => return Err(format!("'{word}' is a sign without a flag: write it as {word}CaptureUserAgent")),
                _ => {
                    return Err(format!(
                        "'{word}' is not a flag: CaptureUserAgent is one, and None and All stand for all"
                    ));
                }
            };
        }
        self.user_agent = user_agent;
        Ok(())
    }

    /// Whether something is said of what to report, and not where.
    #[must_use]
    pub fn lack_a_service(&self) -> bool {
        self.path.is_none() && (self.slow_requests.is_some_and(|threshold| threshold > 0) || self.user_agent)
    }

    /// What processes are told; `None` where there is no service.
    #[must_use]
    pub fn settings(&self) -> Option<Telemetry> {
        Some(Telemetry {
            path: self.path.clone()?,
            interval: self.interval.unwrap_or(INTERVAL),
            slow_requests: self.slow_requests.unwrap_or(0),
            user_agent: self.user_agent,
        })
    }
}

impl Default for Directives {
    fn default() -> Self {
        Self::EMPTY
    }
}

fn interval(word: &str) -> Result<u64, Refused> {
    let value =
        word.strip_prefix("interval=").ok_or_else(|| format!("'{word}' is not an option here: interval=seconds is"))?;
    microseconds(value)
        .filter(|interval| *interval >= SHORTEST_INTERVAL)
        .ok_or_else(|| format!("interval must be a number of seconds from 0.5 on, not '{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Result<Telemetry, Refused> {
        let mut directives = Directives::EMPTY;
        directives.set_service(text)?;
        directives.settings().ok_or_else(|| "nothing is set".into())
    }

    #[test]
    fn a_service_is_a_socket_and_an_interval() {
        let telemetry = service("unix:/run/t.sock").unwrap();
        assert_eq!((&telemetry.path[..], telemetry.interval), (&b"/run/t.sock"[..], 1_000_000));
        assert_eq!((telemetry.slow_requests, telemetry.user_agent), (0, false));
        assert_eq!(service("\"unix:/run/a b\" interval=0.5").unwrap().interval, 500_000);
    }

    #[test]
    fn a_service_that_is_wrong_is_refused_with_what_would_be_right() {
        for (text, fix) in [
            ("/run/t.sock", "such as unix:/run"),
            ("", "such as unix:/run"),
            ("unix:", "such as unix:/run"),
            ("unix:t.sock", "absolute path"),
            ("udp:127.0.0.1:5", "such as unix:/run"),
            ("unix:/t 5", "interval=seconds"),
            ("unix:/t interval=0.49", "from 0.5 on"),
            ("unix:/t interval=soon", "from 0.5 on"),
            ("unix:/t interval=1s", "from 0.5 on"),
            ("unix:/t interval=inf", "from 0.5 on"),
            ("unix:/t interval=1 more", "too many"),
        ] {
            let refused = service(text).unwrap_err();
            assert!(refused.contains(fix), "{text}: {refused}");
        }
        let longest = format!("unix:/{}", "x".repeat(LONGEST_PATH - 1));
        assert!(service(&longest).is_ok());
        assert!(service(&format!("{longest}x")).unwrap_err().contains("shorter"));
    }

    #[test]
    fn the_last_service_counts_and_the_last_interval() {
        let mut directives = Directives::EMPTY;
        assert_eq!(directives.settings(), None);
        directives.set_service("unix:/a interval=3").unwrap();
        directives.set_service("unix:/b").unwrap();
        let telemetry = directives.settings().unwrap();
        assert_eq!((&telemetry.path[..], telemetry.interval), (&b"/b"[..], 3_000_000));
    }

    #[test]
    fn slow_requests_are_a_number_of_seconds() {
        let mut directives = Directives::EMPTY;
        directives.set_slow_requests("1").unwrap();
        assert!(directives.lack_a_service());
        directives.set_service("unix:/a").unwrap();
        assert!(!directives.lack_a_service());
        for (text, expected) in [("2.5", 2_500_000), ("0", 0), ("0.0000001", 1)] {
            directives.set_slow_requests(text).unwrap();
            assert_eq!(directives.settings().unwrap().slow_requests, expected);
        }
        for text in ["-1", "", "soon", "5s", "nan", "inf"] {
            assert!(directives.set_slow_requests(text).unwrap_err().contains("seconds"), "{text}");
        }
    }

    #[test]
    fn options_replace_or_change_what_was_said() {
        let mut directives = Directives::EMPTY;
        for (text, expected) in [
            ("CaptureUserAgent", true),
            ("None", false),
            ("ALL", true),
            ("-captureuseragent", false),
            ("+CaptureUserAgent", true),
            ("none", false),
            ("None CaptureUserAgent", true),
        ] {
            directives.set_options(text).unwrap();
            assert_eq!(directives.user_agent, expected, "{text}");
        }
        for text in
            ["", "+", "-", "+None", "-All", "Unknown", "+Unknown", "++CaptureUserAgent", "None +CaptureUserAgent"]
        {
            assert!(directives.set_options(text).is_err(), "{text}");
        }
        assert!(directives.user_agent, "what is refused changes nothing");
    }
}
