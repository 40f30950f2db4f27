//! The `%{…}` tokens of process groups, application groups and callable objects.

/// What a token needs to know of a request. `env` looks in notes, then in the request's variables, then in the process
/// environment.
pub trait Facts {
    /// `ServerName`, with the port unless it is 80 or 443.
    fn server(&self) -> Vec<u8>;
    /// The request's host name, or `ServerName`; with the port unless it is 80 or 443.
    fn host(&self) -> Vec<u8>;
    /// The URL path without its path info, runs of slashes as one.
    fn script_name(&self) -> Vec<u8>;
    /// A variable of the request.
    fn env(&self, name: &[u8]) -> Option<Vec<u8>>;
}

/// The group a configured value means for a request; empty is the global one. Whatever is not a known token stands for
/// itself, also a variable that is not set.
pub fn expand(value: &[u8], facts: &impl Facts) -> Vec<u8> {
    match variable(value) {
        Some(name) => match facts.env(name) {
            Some(found) if found.starts_with(b"%") && !found.starts_with(b"%{ENV:") => expand_token(&found, facts),
            Some(found) => found,
            None => value.to_vec(),
        },
        None => expand_token(value, facts),
    }
}

fn expand_token(value: &[u8], facts: &impl Facts) -> Vec<u8> {
    match value {
        b"%{GLOBAL}" => Vec::new(),
        b"%{SERVER}" => facts.server(),
        b"%{HOST}" => facts.host(),
        b"%{RESOURCE}" => [&facts.server()[..], b"|", &facts.script_name()].concat(),
        literal => literal.to_vec(),
    }
}

/// The interpreter a configured value of an access, authentication, group or dispatch script means: only `%{GLOBAL}`,
/// `%{SERVER}` and `%{HOST}` are tokens there, since the rest is not known yet.
pub fn expand_for_script(value: &[u8], facts: &impl Facts) -> Vec<u8> {
    match value {
        b"%{GLOBAL}" | b"%{SERVER}" | b"%{HOST}" => expand_token(value, facts),
        literal => literal.to_vec(),
    }
}

/// The callable object a configured value means: a name, or a variable; everything else that begins with `%`, and a
/// variable that is not set, means `application`.
pub fn callable(value: &[u8], facts: &impl Facts) -> Vec<u8> {
    match variable(value) {
        Some(name) => facts.env(name).unwrap_or_else(|| b"application".to_vec()),
        None if value.starts_with(b"%") => b"application".to_vec(),
        None => value.to_vec(),
    }
}

fn variable(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"%{ENV:")?.strip_suffix(b"}")
}

/// Whether a value is a plain name, or the global group, known before any request.
#[must_use]
pub fn is_literal(value: &[u8]) -> bool {
    !value.starts_with(b"%") || value == b"%{GLOBAL}"
}

/// The group a literal value names.
#[must_use]
pub fn literal(value: &[u8]) -> &[u8] {
    if value == b"%{GLOBAL}" { b"" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;
    impl Facts for Fake {
        fn server(&self) -> Vec<u8> {
            b"example.org:8080".to_vec()
        }
        fn host(&self) -> Vec<u8> {
            b"www.example.org:8080".to_vec()
        }
        fn script_name(&self) -> Vec<u8> {
            b"/app".to_vec()
        }
        fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
            match name {
                b"PLAIN" => Some(b"blue".to_vec()),
                b"TOKEN" => Some(b"%{GLOBAL}".to_vec()),
                b"LOOP" => Some(b"%{ENV:LOOP}".to_vec()),
                _ => None,
            }
        }
    }

    #[test]
    fn tokens_are_expanded_and_the_rest_is_literal() {
        for (value, group) in [
            ("%{GLOBAL}", ""),
            ("%{SERVER}", "example.org:8080"),
            ("%{HOST}", "www.example.org:8080"),
            ("%{RESOURCE}", "example.org:8080|/app"),
            ("%{ENV:PLAIN}", "blue"),
            ("%{ENV:TOKEN}", ""),
            ("%{ENV:LOOP}", "%{ENV:LOOP}"),
            ("%{ENV:MISSING}", "%{ENV:MISSING}"),
            ("%{OTHER}", "%{OTHER}"),
            ("name", "name"),
        ] {
            assert_eq!(expand(value.as_bytes(), &Fake), group.as_bytes(), "{value}");
        }
    }

    #[test]
    fn scripts_of_places_know_three_tokens() {
        assert_eq!(expand_for_script(b"%{GLOBAL}", &Fake), b"");
        assert_eq!(expand_for_script(b"%{HOST}", &Fake), b"www.example.org:8080");
        assert_eq!(expand_for_script(b"%{RESOURCE}", &Fake), b"%{RESOURCE}");
        assert_eq!(expand_for_script(b"%{ENV:PLAIN}", &Fake), b"%{ENV:PLAIN}");
    }

    #[test]
    fn a_callable_is_a_name_a_variable_or_application() {
        assert_eq!(callable(b"main", &Fake), b"main");
        assert_eq!(callable(b"%{ENV:PLAIN}", &Fake), b"blue");
        assert_eq!(callable(b"%{ENV:MISSING}", &Fake), b"application");
        assert_eq!(callable(b"%{GLOBAL}", &Fake), b"application");
    }
}
