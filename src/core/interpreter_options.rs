//! What `<WSGIInterpreterOptions>` sections say about one interpreter.

/// The options of a section that is for this process; `None` is "not set there".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterpreterOptions {
    /// Whether the section names a process group, which is then this one.
    pub names_process_group: bool,
    /// The application group it is for, empty for the main interpreter; `None` for all.
    pub application_group: Option<Vec<u8>>,
    /// `WSGIPerInterpreterGIL`.
    pub per_interpreter_gil: Option<bool>,
    /// `WSGISwitchInterval`, in microseconds.
    pub switch_interval: Option<u64>,
    /// `WSGIPythonPath`: directories in order.
    pub python_path: Vec<Vec<u8>>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
}

/// What the sections say together; `None` leaves what is set outside of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved<'a> {
    /// See [`InterpreterOptions::per_interpreter_gil`].
    pub per_interpreter_gil: Option<bool>,
    /// See [`InterpreterOptions::switch_interval`], and whether it is for the interpreter's application group alone.
    pub switch_interval: Option<(u64, bool)>,
    /// The directories of all sections, those of the most specific one last: it comes to the front of `sys.path` then.
    pub python_paths: Vec<&'a [Vec<u8>]>,
    /// See [`InterpreterOptions::restrict_stdin`].
    pub restrict_stdin: Option<bool>,
    /// See [`InterpreterOptions::restrict_stdout`].
    pub restrict_stdout: Option<bool>,
    /// See [`InterpreterOptions::restrict_signal`].
    pub restrict_signal: Option<bool>,
}

/// What the sections, in the order of the configuration, say about the interpreter of an application group: of each option
/// the most specific value counts, and of two values that are equally specific the later one.
#[must_use]
pub fn resolve<'a>(sections: &'a [InterpreterOptions], application_group: &[u8]) -> Resolved<'a> {
    let mut matching: Vec<_> = sections
        .iter()
        .filter(|section| section.application_group.as_deref().is_none_or(|group| group == application_group))
        .collect();
    // Stable, so that equally specific ones stay in their order.
    matching.sort_by_key(|section| section.specificity());
    let mut resolved = Resolved::default();
    for section in matching {
        let own = section.application_group.is_some();
        resolved.per_interpreter_gil = section.per_interpreter_gil.or(resolved.per_interpreter_gil);
        resolved.switch_interval = section.switch_interval.map(|interval| (interval, own)).or(resolved.switch_interval);
        resolved.restrict_stdin = section.restrict_stdin.or(resolved.restrict_stdin);
        resolved.restrict_stdout = section.restrict_stdout.or(resolved.restrict_stdout);
        resolved.restrict_signal = section.restrict_signal.or(resolved.restrict_signal);
        if !section.python_path.is_empty() {
            resolved.python_paths.push(&section.python_path);
        }
    }
    resolved
}

impl InterpreterOptions {
    /// How many selectors the section has.
    fn specificity(&self) -> u8 {
        u8::from(self.names_process_group) + u8::from(self.application_group.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(names_process_group: bool, group: Option<&str>) -> InterpreterOptions {
        let application_group = group.map(|group| group.as_bytes().to_vec());
        InterpreterOptions { names_process_group, application_group, ..InterpreterOptions::default() }
    }

    #[test]
    fn without_sections_nothing_is_said() {
        assert_eq!(resolve(&[], b"any"), Resolved::default());
        assert_eq!(resolve(&[section(true, Some("other"))], b"any"), Resolved::default());
    }

    #[test]
    fn the_most_specific_section_counts_wherever_it_stands() {
        let sections = [
            InterpreterOptions { restrict_stdin: Some(true), ..section(true, Some("site")) },
            InterpreterOptions { restrict_stdin: Some(false), restrict_stdout: Some(false), ..section(false, None) },
            InterpreterOptions { restrict_stdout: Some(true), ..section(true, None) },
        ];
        let resolved = resolve(&sections, b"site");
        assert_eq!((resolved.restrict_stdin, resolved.restrict_stdout), (Some(true), Some(true)));
        let resolved = resolve(&sections, b"other");
        assert_eq!((resolved.restrict_stdin, resolved.restrict_stdout), (Some(false), Some(true)));
        assert_eq!(resolved.restrict_signal, None);
    }

    #[test]
    fn of_two_equally_specific_sections_the_later_one_counts() {
        let sections = [
            InterpreterOptions { per_interpreter_gil: Some(true), ..section(true, None) },
            InterpreterOptions { per_interpreter_gil: Some(false), ..section(false, Some("site")) },
        ];
        assert_eq!(resolve(&sections, b"site").per_interpreter_gil, Some(false));
        assert_eq!(resolve(&sections, b"other").per_interpreter_gil, Some(true));
    }

    #[test]
    fn a_switch_interval_is_known_to_be_for_one_application_group() {
        let sections = [
            InterpreterOptions { switch_interval: Some(1), ..section(true, None) },
            InterpreterOptions { switch_interval: Some(2), ..section(true, Some("")) },
        ];
        assert_eq!(resolve(&sections, b"").switch_interval, Some((2, true)));
        assert_eq!(resolve(&sections, b"site").switch_interval, Some((1, false)));
    }

    #[test]
    fn paths_of_all_sections_come_together_the_most_specific_last() {
        let path = |name: &str| vec![name.as_bytes().to_vec()];
        let sections = [
            InterpreterOptions { python_path: path("/site"), ..section(true, Some("site")) },
            InterpreterOptions { python_path: path("/all"), ..section(false, None) },
            InterpreterOptions { python_path: path("/more"), ..section(false, None) },
            section(true, None),
        ];
        assert_eq!(resolve(&sections, b"site").python_paths, [&path("/all")[..], &path("/more"), &path("/site")]);
    }
}
