//! Scripts that the configuration names: they are there, and whoever is to load them can read them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mod_wsgi_core::group_name::{is_literal, literal};
use mod_wsgi_core::obstacle::{LET_IN, LET_READ, Obstacle};
use mod_wsgi_core::os_text::os_text;

use super::Look;
use crate::config::mention::{Loader, Mention, Purpose, Said, Script};
use crate::startup::Plan;
use crate::way;

/// Who may load a script.
#[derive(Clone, Copy)]
enum Runner<'p> {
    /// Apache's children.
    Apache,
    /// The processes of a group.
    Group(&'p Plan),
}

impl Purpose {
    /// The number of "it cannot be loaded".
    fn number(&self) -> &'static str {
        if *self == Self::Import { "WSGI0106" } else { "WSGI0105" }
    }

    /// What happens when it cannot be loaded.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Alias | Self::Handler | Self::AuthUser => "requests get 500",
            Self::Import => "processes start without it",
            Self::Access => "requests get 403",
            Self::AuthGroup => "nobody is in any group",
            Self::Dispatch => "requests go where they would go without it",
        }
    }
}

impl<'c> Look<'c> {
    /// Looks at a script. Answers whether it is for embedded mode, as far as can be told.
    pub(super) fn script(&self, mention: &Mention, script: &Script) -> bool {
        let runners = self.runners(mention, &script.loader);
        if let Some(path) = script.path.as_deref().and_then(|path| self.absolute(mention, &script.purpose, path)) {
            self.path(mention, &script.purpose, &path, runners.as_deref().unwrap_or_default());
        }
        runners.is_some_and(|all| !all.is_empty() && all.iter().all(|one| matches!(one, Runner::Apache)))
    }

    /// The path as the system gets it; `None` for one that is relative, to the working folder of whoever loads it.
    fn absolute(&self, mention: &Mention, purpose: &Purpose, path: &[u8]) -> Option<PathBuf> {
        // What an alias appends begins with a slash.
        let trimmed = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
        let path = PathBuf::from(os_text(path.get(..trimmed.max(1))?).into_owned());
        if *purpose != Purpose::Alias {
            return path.is_absolute().then_some(path);
        }
        if path.is_relative() {
            let text =
                format!("'{}' is not an absolute path, and no request gets there: write all of it", path.display());
            self.warn("WSGI0135", &mention.position, &text);
            return None;
        }
        // Below a file, the rest is path info.
        match way::obstacle(&path) {
            Some(Obstacle::NoFolder(file)) => Some(file),
            _ => Some(path),
        }
    }

    /// Who may load a script; `None` where only requests tell.
    fn runners(&self, mention: &Mention, loader: &Loader) -> Option<Vec<Runner<'_>>> {
        match loader {
            Loader::Apache => Some(vec![Runner::Apache]),
            Loader::Group(name) => Some(self.runner(name)?.into_iter().collect()),
            Loader::OfItsPlace => self.runners_of_place(mention),
        }
    }

    /// The one that `WSGIProcessGroup` names for the whole server, and those that it names for parts of it.
    fn runners_of_place(&self, mention: &Mention) -> Option<Vec<Runner<'_>>> {
        let here = [mention.server, self.main.identity()];
        let parts = || self.definitions.mentions.iter().filter(|other| here.contains(&other.server));
        let is_dispatch = |said: &Said| matches!(said, Said::Script(script) if script.purpose == Purpose::Dispatch);
        if parts().any(|other| is_dispatch(&other.said)) {
            return None;
        }
        let whole = self.server(mention).default_place().and_then(|place| place.routing.process_group.as_deref());
        let names = parts().filter(|other| other.is_for_part).filter_map(|other| match &other.said {
            Said::ProcessGroup(name) => Some(&name[..]),
            _ => None,
        });
        let runners = std::iter::once(whole.unwrap_or_default()).chain(names).map(|name| self.runner(name));
        Some(runners.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Who the name means, nobody if there is no such group; `None` where only requests tell.
    fn runner(&self, written: &[u8]) -> Option<Option<Runner<'_>>> {
        let name = is_literal(written).then(|| literal(written))?;
        if name.is_empty() {
            return Some(Some(Runner::Apache));
        }
        // What a process with another root folder finds there is not what this one finds.
        if self.group(name).is_some_and(|group| group.options.chroot.is_some()) {
            return None;
        }
        Some(self.plans.iter().find(|plan| plan.name().as_bytes() == name).map(Runner::Group))
    }

    /// Whoever loads the script finds it, and can read it.
    fn path(&self, mention: &Mention, purpose: &Purpose, path: &Path, runners: &[Runner<'_>]) {
        let shown = path.display();
        let is_folder = match std::fs::metadata(path) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => false,
            Err(error) => {
                let obstacle = way::obstacle(path);
                let (number, outcome) = match (purpose, &obstacle) {
                    // httpd by itself: "link target not accessible".
                    (Purpose::Alias, Some(Obstacle::Missing(_, Some(_)) | Obstacle::Circle(_))) => {
                        ("WSGI0135", "requests get 403")
                    }
                    (Purpose::Alias, _) => ("WSGI0135", "requests get 404"),
                    (other, _) => (other.number(), other.outcome()),
                };
                let cause = obstacle.map(|found| found.explained(path)).unwrap_or_default();
                let text = format!("'{shown}' does not exist, {outcome}: {error}{cause}");
                return self.warn(number, &mention.position, &text);
            }
        };
        if *purpose == Purpose::Alias {
            // Apache looks at the file by itself, whoever reads it then.
            if let Some(refusing) = self.apache.first_refusal(path, 0) {
                let text = format!(
                    "{}, who Apache's children are, may not enter '{}' on the way to '{shown}'; requests get 403: {LET_IN}",
                    self.apache.describe(),
                    refusing.display()
                );
                return self.warn("WSGI0135", &mention.position, &text);
            }
        } else if is_folder {
            let text = format!("'{shown}' is a folder; {}: name the script in it", purpose.outcome());
            return self.warn(purpose.number(), &mention.position, &text);
        }
        if !is_folder {
            self.readable(mention, purpose, path, runners);
        }
    }

    /// One of those who may load a script can read it.
    fn readable(&self, mention: &Mention, purpose: &Purpose, path: &Path, runners: &[Runner<'_>]) {
        let refusals: Option<Vec<_>> = runners.iter().map(|runner| self.refusal(*runner, path)).collect();
        let Some((who, refusing)) = refusals.and_then(|found| found.into_iter().next()) else {
            return self.owned(mention, purpose, path, runners);
        };
        let text = format!(
            "the script '{}' cannot be read by {who}, since '{}' refuses; {}: {}",
            path.display(),
            refusing.display(),
            purpose.outcome(),
            if refusing.is_dir() { LET_IN } else { LET_READ }
        );
        self.warn(purpose.number(), &mention.position, &text);
    }

    /// The one group that runs it in answer to requests takes the owner for the right one.
    fn owned(&self, mention: &Mention, purpose: &Purpose, path: &Path, runners: &[Runner<'_>]) {
        let ([Runner::Group(plan)], Purpose::Alias | Purpose::Handler) = (runners, purpose) else { return };
        if let Some((number, fault)) = plan.owner_fault(path) {
            let text = format!(
                "{fault} of the process group '{}'; requests get 403: change owner or mode, or that option",
                plan.name()
            );
            self.warn(number, &mention.position, &text);
        }
    }

    /// Who does not get at the file, and what on the way refuses.
    fn refusal(&self, runner: Runner<'_>, path: &Path) -> Option<(String, PathBuf)> {
        match runner {
            Runner::Apache => {
                let refusing = self.apache.first_refusal(path, 4)?;
                Some((format!("{}, who Apache's children are", self.apache.describe()), refusing))
            }
            Runner::Group(plan) => {
                let (who, refusing) = plan.refusal(path)?;
                Some((format!("{who} of the process group '{}'", plan.name()), refusing))
            }
        }
    }
}
