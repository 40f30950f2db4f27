//! The directives that name scripts. A refusal is a sentence fragment; httpd prints it behind the file and the line.

use mod_wsgi_core::directive::{Words, on_off};
use mod_wsgi_core::group_name::{is_literal, literal};
use mod_wsgi_core::launch::Preload;

use super::directives::{Outcome, find_group};
use super::mention::{Loader, Purpose, Said, Script};
use super::{Alias, AliasUrl, DirConfig, HandlerScript, PlaceScript, Routing, ServerConfig};
use crate::apache::command::Command;

fn mention(command: Command<'_>, purpose: Purpose, path: Option<&[u8]>, loader: Loader) {
    command.mention(Said::Script(Script { purpose, path: path.map(<[u8]>::to_vec), loader }));
}

/// `WSGIScriptAlias URL-path file-or-folder [option=value …]`
pub fn script_alias(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    let mut words = Words::new(text);
    let (url, target) = url_and_target(&mut words)?;
    let alias =
        Alias { url: AliasUrl::Path(url.into_bytes()), target: target.into_bytes(), routing: routing(&mut words)? };
    add_alias(command, config, alias, true)
}

/// `WSGIScriptAliasMatch regex file [option=value …]`
pub fn script_alias_match(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    let mut words = Words::new(text);
    let (url, target) = url_and_target(&mut words)?;
    let pattern = command.pattern(&url).ok_or_else(|| format!("'{url}' is not a regular expression"))?;
    let fixed_target = !target.contains('$');
    let alias = Alias { url: AliasUrl::Pattern(pattern), target: target.into_bytes(), routing: routing(&mut words)? };
    add_alias(command, config, alias, fixed_target)
}

fn url_and_target(words: &mut Words<'_>) -> Result<(String, String), String> {
    match (words.next(), words.next()) {
        (Some(url), Some(target)) if !url.is_empty() && !target.is_empty() => Ok((url, target)),
        _ => Err("a URL and a script or folder are needed, then options name=value".into()),
    }
}

/// Options that a script alias takes.
fn routing(words: &mut Words<'_>) -> Result<Routing, String> {
    let mut routing = Routing::default();
    while let Some(option) = words.option() {
        let (name, value) = option?;
        match name.as_str() {
            "process-group" => routing.process_group = Some(filled(&name, value)?),
            "application-group" => routing.application_group = Some(filled(&name, value)?),
            "callable-object" => routing.callable = Some(filled(&name, value)?),
            "pass-authorization" => routing.pass_authorization = Some(on_off(&name, &value)?),
            _ => return Err(format!("'{name}' is not an option of a script alias")),
        }
    }
    Ok(routing)
}

/// `WSGIHandlerScript name path [option=value …]`; a later one of the same name replaces an earlier one.
pub fn handler_script(command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    let mut words = Words::new(text);
    let (name, script) = match (words.next(), words.next()) {
        (Some(name), Some(script)) if !name.is_empty() && !script.is_empty() => (name, script),
        _ => return Err("a handler's name and a script are needed, then options name=value".into()),
    };
    let routing = routing(&mut words)?;
    if routing.callable.is_some() {
        return Err("'callable-object' is not an option of a handler script: its callable is handle_request".into());
    }
    mention(command, Purpose::Handler, Some(script.as_bytes()), routing.process_group.clone().into());
    config.handlers.insert(0, HandlerScript { name: name.into_bytes(), script: script.into_bytes(), routing });
    Ok(())
}

/// A script of a place: `path [application-group=G]`.
fn place_script(text: &str) -> Result<PlaceScript, String> {
    let mut words = Words::new(text);
    let script = words.next().filter(|path| !path.is_empty()).ok_or("the path of a script is needed")?.into_bytes();
    let mut application_group = None;
    while let Some(option) = words.option() {
        let (name, value) = option?;
        match name.as_str() {
            "application-group" => application_group = Some(filled(&name, value)?),
            _ => return Err(format!("'{name}' is not an option here: application-group= is")),
        }
    }
    Ok(PlaceScript { script, application_group })
}

macro_rules! place_scripts {
    ($($(#[$doc:meta])* $field:ident $purpose:ident;)*) => {$(
        $(#[$doc])*
        pub fn $field(command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
            let script = place_script(text)?;
            mention(command, Purpose::$purpose, Some(&script.script), Loader::Apache);
            config.$field = Some(script);
            Ok(())
        }
    )*};
}

place_scripts! {
    /// `WSGIAccessScript path [application-group=G]`
    access_script Access;
    /// `WSGIAuthUserScript path [application-group=G]`
    auth_user_script AuthUser;
    /// `WSGIAuthGroupScript path [application-group=G]`
    auth_group_script AuthGroup;
    /// `WSGIDispatchScript path [application-group=G]`
    dispatch_script Dispatch;
}

fn filled(name: &str, value: String) -> Result<Vec<u8>, String> {
    if value.is_empty() { Err(format!("{name} is empty")) } else { Ok(value.into_bytes()) }
}

fn add_alias(command: Command<'_>, config: &mut ServerConfig, alias: Alias, fixed_target: bool) -> Outcome {
    if let (Some(process), Some(application)) = (&alias.routing.process_group, &alias.routing.application_group) {
        if is_literal(process) && is_literal(application) && fixed_target {
            add_preload(command, literal(process), &alias.target, literal(application))?;
        }
    }
    let target = Some(&alias.target[..]).filter(|_| fixed_target);
    mention(command, Purpose::Alias, target, alias.routing.process_group.clone().into());
    config.aliases.push(alias);
    Ok(())
}

/// `WSGIImportScript path process-group=G application-group=G`
pub fn import_script(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    let mut words = Words::new(text);
    let script = words.next().filter(|path| !path.is_empty()).ok_or("the path of a script is needed")?;
    let (mut process, mut application) = (None, None);
    while let Some(option) = words.option() {
        let (name, value) = option?;
        match name.as_str() {
            "process-group" => process = Some(filled(&name, value)?),
            "application-group" => application = Some(filled(&name, value)?),
            _ => return Err(format!("'{name}' is not an option here: process-group= and application-group= are")),
        }
    }
    let process = process.ok_or("process-group= is missing: say where the script is to be loaded")?;
    let application = application.ok_or("application-group= is missing: say where the script is to be loaded")?;
    add_preload(command, literal(&process), script.as_bytes(), literal(&application))?;
    mention(command, Purpose::Import, Some(script.as_bytes()), Loader::Group(process));
    Ok(())
}

fn add_preload(command: Command<'_>, process_group: &[u8], script: &[u8], application_group: &[u8]) -> Outcome {
    let server = command.server().identity();
    let server_name = command.server().server_name();
    let is_virtual = command.server().is_virtual();
    command.definitions(|definitions| {
        if !process_group.is_empty() {
            let group = find_group(definitions, process_group)?;
            let same_server = group.server == server || (is_virtual && group.server_name.as_deref() == server_name);
            if group.is_virtual && !same_server {
                return Err(format!(
                    "the daemon process group '{}' belongs to a virtual host with another ServerName and cannot be used here",
                    group.options.name
                ));
            }
        }
        let preload = Preload { script: script.to_vec(), application_group: application_group.to_vec() };
        let entry = (process_group.to_vec(), preload);
        if !definitions.preload.contains(&entry) {
            definitions.preload.push(entry);
        }
        Ok(())
    })
}
