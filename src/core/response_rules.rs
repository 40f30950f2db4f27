//! What PEP 3333 and HTTP demand of a status and of header fields, as the C module checks it.
//!
//! Source: PEP 3333, "The start_response() Callable"; RFC 9110, "Fields".

/// What is wrong with a status line or a header; the host turns it into the exception the C module raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleError {
    /// The status is not three digits, alone or before a blank.
    StatusCode,
    /// The reason phrase holds a control character.
    StatusControl,
    /// The header has no name.
    EmptyName,
    /// The header name holds a control character.
    NameControl,
    /// The header name holds a blank.
    NameBlank,
    /// The header value holds CR, LF or NUL.
    ValueControl,
    /// `Content-Length` is not a number.
    ContentLength,
}

/// The status code of a status line such as `200 OK`.
///
/// # Errors
/// [`RuleError::StatusCode`], [`RuleError::StatusControl`].
pub fn status_code(line: &[u8]) -> Result<u16, RuleError> {
    let (code, reason) = line.split_at_checked(3).ok_or(RuleError::StatusCode)?;
    if !code.iter().all(u8::is_ascii_digit) || !(reason.is_empty() || reason.starts_with(b" ")) {
        return Err(RuleError::StatusCode);
    }
    if reason.iter().any(u8::is_ascii_control) {
        return Err(RuleError::StatusControl);
    }
    Ok(code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

/// Checks a header name.
///
/// # Errors
/// [`RuleError::EmptyName`], [`RuleError::NameControl`], [`RuleError::NameBlank`].
pub fn header_name(name: &[u8]) -> Result<(), RuleError> {
    if name.is_empty() {
        return Err(RuleError::EmptyName);
    }
    if name.iter().any(u8::is_ascii_control) {
        return Err(RuleError::NameControl);
    }
    if name.contains(&b' ') {
        return Err(RuleError::NameBlank);
    }
    Ok(())
}

/// Checks a header value.
///
/// # Errors
/// [`RuleError::ValueControl`].
pub fn header_value(value: &[u8]) -> Result<(), RuleError> {
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) { Err(RuleError::ValueControl) } else { Ok(()) }
}

/// The number in a `Content-Length` header, in bytes.
///
/// # Errors
/// [`RuleError::ContentLength`] where it is anything but digits, or does not fit 63 bits.
pub fn content_length(value: &[u8]) -> Result<u64, RuleError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(RuleError::ContentLength);
    }
    value
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or(RuleError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_and_a_reason_or_none() {
        assert_eq!(status_code(b"200 OK"), Ok(200));
        assert_eq!(status_code(b"404"), Ok(404));
        for line in [&b""[..], b"20", b"2000 OK", b"200OK", b"abc OK", b" 200 OK"] {
            assert_eq!(status_code(line), Err(RuleError::StatusCode), "{line:?}");
        }
        assert_eq!(status_code(b"200 OK\r\nX: y"), Err(RuleError::StatusControl));
    }

    #[test]
    fn a_header_cannot_smuggle_a_line() {
        assert_eq!(header_name(b"X-Y"), Ok(()));
        assert_eq!(header_name(b""), Err(RuleError::EmptyName));
        assert_eq!(header_name(b"X\nY"), Err(RuleError::NameControl));
        assert_eq!(header_name(b"X Y"), Err(RuleError::NameBlank));
        assert_eq!(header_value(b"a\tb"), Ok(()));
        assert_eq!(header_value(b"a\r\nb"), Err(RuleError::ValueControl));
        assert_eq!(header_value(b"a\0b"), Err(RuleError::ValueControl));
    }

    #[test]
    fn a_content_length_is_digits_within_63_bits() {
        assert_eq!(content_length(b"12"), Ok(12));
        assert_eq!(content_length(b"9223372036854775807"), Ok(i64::MAX as u64));
        for value in [&b""[..], b"-1", b"+1", b"1 ", b"9223372036854775808", b"99999999999999999999999"] {
            assert_eq!(content_length(value), Err(RuleError::ContentLength), "{value:?}");
        }
    }
}
