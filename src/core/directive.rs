//! The words of a directive's arguments: positional ones first, then `name=value` options.

/// Why a directive is refused; a whole sentence fragment that httpd puts behind file and line.
pub type Refused = String;

/// The words of a directive line, with quotes and backslashes taken as httpd's `ap_getword_conf` takes them.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// The words of `line`.
    #[must_use]
    pub fn new(line: &'a str) -> Self {
        Self { rest: line.trim_start() }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.rest = self.rest[at + character.len_utf8()..].trim_start();
                return word;
            }
            match characters.peek() {
                Some((_, next)) if character == '\\' && (*next == '\\' || *next == quote) => {
                    word.push(*next);
                    characters.next();
                }
                _ => word.push(character),
            }
        }
        self.rest = "";
        word
    }

    /// The next option. A value may be quoted, and blanks may stand before it, as the C module allows.
    ///
    /// # Errors
    /// Where the next word is not `name=value`.
    pub fn option(&mut self) -> Option<Result<(String, String), Refused>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find(|character: char| character == '=' || character.is_ascii_whitespace());
        let name = &self.rest[..end.unwrap_or(self.rest.len())];
        let name = name.to_owned();
        if !self.rest[name.len()..].starts_with('=') || name.is_empty() {
            return Some(Err(format!("'{}' is not an option of the form name=value", self.next().unwrap_or_default())));
        }
        self.rest = self.rest[name.len() + 1..].trim_start();
        let value = self.next().unwrap_or_default();
        Some(Ok((name, value)))
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let first = self.rest.chars().next()?;
        if first == '"' || first == '\'' {
            return Some(self.quoted(first));
        }
        let end = self.rest.find(|character: char| character.is_ascii_whitespace()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Some(word.to_owned())
    }
}

/// `On` or `Off` in any case.
///
/// # Errors
/// Names the directive or option and the values it takes.
pub fn on_off(what: &str, value: &str) -> Result<bool, Refused> {
    if value.eq_ignore_ascii_case("on") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("off") {
        Ok(false)
    } else {
        Err(format!("{what} must be On or Off, not '{value}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_quoted() {
        let words: Vec<_> = Words::new(r#"  one "two three" 'fo\'ur' five\six "#).collect();
        assert_eq!(words, ["one", "two three", "fo'ur", r"five\six"]);
    }

    #[test]
    fn options_are_name_and_value() {
        let mut words = Words::new(r#"a=1 b="two words" c= 3 d"#);
        assert_eq!(words.option(), Some(Ok(("a".into(), "1".into()))));
        assert_eq!(words.option(), Some(Ok(("b".into(), "two words".into()))));
        assert_eq!(words.option(), Some(Ok(("c".into(), "3".into()))));
        assert!(words.option().is_some_and(|option| option.is_err()));
        assert_eq!(words.option(), None);
    }

    #[test]
    fn on_and_off_in_any_case_and_nothing_else() {
        assert_eq!(on_off("X", "oN"), Ok(true));
        assert_eq!(on_off("X", "OFF"), Ok(false));
        assert_eq!(on_off("X", "1"), Err("X must be On or Off, not '1'".into()));
    }
}
