//! How `WSGIScriptAlias` matches a URL path: as mod_alias does, on path components, with runs of slashes as one.

/// How many bytes at the front of `path` the alias `prefix` covers, if it does.
///
/// One or more slashes in the prefix match one or more in the path; a prefix that does not end in a slash has to be
/// followed by the end of the path or a slash.
///
/// Source: mod_alias, "Alias Directive"; observed with mod_wsgi 6.1.1.
#[must_use]
pub fn matched_length(path: &[u8], prefix: &[u8]) -> Option<usize> {
    let (mut at, mut wanted) = (0, prefix);
    while let [first, rest @ ..] = wanted {
        if path.get(at) != Some(first) {
            return None;
        }
        if *first == b'/' {
            at += leading_slashes(&path[at..]);
            wanted = &wanted[leading_slashes(wanted)..];
        } else {
            at += 1;
            wanted = rest;
        }
    }
    let at_a_boundary = prefix.ends_with(b"/") || matches!(path.get(at), None | Some(b'/'));
    at_a_boundary.then_some(at)
}

fn leading_slashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b'/').count()
}

/// The file a matched path stands for: the target and what follows the match; a root alias keeps the whole path.
#[must_use]
pub fn file_name(path: &[u8], matched: usize, prefix: &[u8], target: &[u8]) -> Vec<u8> {
    let rest = if prefix == b"/" { path } else { path.get(matched..).unwrap_or_default() };
    [target, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_covers_whole_path_components() {
        assert_eq!(matched_length(b"/app", b"/app"), Some(4));
        assert_eq!(matched_length(b"/app/x", b"/app"), Some(4));
        assert_eq!(matched_length(b"/apple", b"/app"), None);
        assert_eq!(matched_length(b"/ap", b"/app"), None);
        assert_eq!(matched_length(b"/app/x", b"/app/"), Some(5));
        assert_eq!(matched_length(b"/app", b"/app/"), None);
        assert_eq!(matched_length(b"/anything", b"/"), Some(1));
    }

    #[test]
    fn runs_of_slashes_match_runs_of_slashes() {
        assert_eq!(matched_length(b"//a///b", b"/a/b"), Some(7));
        assert_eq!(matched_length(b"/a/b", b"//a//b"), Some(4));
    }

    #[test]
    fn the_rest_of_the_path_follows_the_target() {
        assert_eq!(file_name(b"/app/x", 4, b"/app", b"/srv/a.wsgi"), b"/srv/a.wsgi/x");
        assert_eq!(file_name(b"/x", 1, b"/", b"/srv/a.wsgi"), b"/srv/a.wsgi/x");
        assert_eq!(file_name(b"/app/x", 5, b"/app/", b"/srv/"), b"/srv/x");
    }
}
