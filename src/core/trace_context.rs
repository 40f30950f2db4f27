//! The `traceparent` header: which trace a request belongs to.
//!
//! Source: W3C Trace Context, "Traceparent Header".

use std::fmt;

/// A trace, and the span in it that the request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The id of the trace, never 0.
    pub trace: u128,
    /// The id of the span, never 0.
    pub span: u64,
    /// The flags; the lowest bit says that the trace is recorded.
    pub flags: u8,
}

/// The flag of a trace that is recorded.
pub const SAMPLED: u8 = 1;

/// Lower-case hexadecimal digits, as many as `digits`.
fn hexadecimal(part: Option<&[u8]>, digits: usize) -> Option<u128> {
    let part = part.filter(|part| part.len() == digits)?;
    part.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl TraceParent {
    /// Reads the header; `None` where it is not valid, so that a new trace is to begin.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        let mut parts = header.split(|byte| *byte == b'-');
        let version = hexadecimal(parts.next(), 2)?;
        let trace = hexadecimal(parts.next(), 32)?;
        // As many digits as the types have.
        let span = hexadecimal(parts.next(), 16)? as u64;
        let flags = hexadecimal(parts.next(), 2)? as u8;
        // Later versions may go on behind the flags.
        let is_whole = version != 0 || parts.next().is_none();
        (version != 0xff && trace != 0 && span != 0 && is_whole).then_some(Self { trace, span, flags })
    }

    /// A new trace of random bytes, to be recorded; `None` in the one case that they are all 0.
    #[must_use]
    pub fn begin(random: [u8; 24]) -> Option<Self> {
        let (trace, span) = random.split_first_chunk()?;
        let (trace, span) = (u128::from_be_bytes(*trace), u64::from_be_bytes(*span.first_chunk()?));
        (trace != 0 && span != 0).then_some(Self { trace, span, flags: SAMPLED })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_comes_back_as_it_was() {
        let parent = TraceParent::parse(VALID.as_bytes()).unwrap();
        assert_eq!((parent.trace >> 64, parent.span, parent.flags), (0x4bf9_2f35_77b3_4da6, 0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(parent.to_string(), VALID);
    }

    #[test]
    fn a_later_version_may_go_on() {
        let later = VALID.replacen("00", "01", 1);
        assert!(TraceParent::parse(format!("{later}-what-comes").as_bytes()).is_some());
        assert_eq!(TraceParent::parse(format!("{VALID}-more").as_bytes()), None);
    }

    #[test]
    fn what_is_not_valid_begins_a_new_trace() {
        for header in [
            "",
            "00",
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &VALID[..VALID.len() - 1],
        ] {
            assert_eq!(TraceParent::parse(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn a_new_trace_is_recorded() {
        let parent = TraceParent::begin([7; 24]).unwrap();
        assert_eq!(TraceParent::parse(parent.to_string().as_bytes()), Some(parent));
        assert_eq!((parent.flags & SAMPLED, TraceParent::begin([0; 24])), (SAMPLED, None));
    }
}
