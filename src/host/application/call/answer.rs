//! What the results of the functions mean. Only `True`, `False` and `None` themselves count, not what is equal to them.

use super::Refused;
use crate::python::{Exception, Object, PyResult};
use mod_wsgi_core::script_call::{Answer, Function};

/// The answer of a function that has one.
///
/// # Errors
/// [`Refused`].
pub fn convert<'py>(function: Function, result: &Object<'py>) -> Result<Answer, Refused<'py>> {
    match function {
        Function::AllowAccess => plain(result)
            .ok_or_else(|| refused("WSGI0055", function, &format!("True, False or None, not {}", result.type_name()))),
        Function::CheckPassword => check_password(function, result),
        Function::GetRealmHash => realm_hash(function, result),
        Function::GroupsForUser | Function::Dispatch => groups(function, result),
    }
}

fn refused<'py>(number: &str, function: Function, wanted: &str) -> Refused<'py> {
    Refused::Text(format!("{number}: {}() of the script must return {wanted}", function.name()))
}

fn plain(result: &Object<'_>) -> Option<Answer> {
    match result {
        _ if result.is_none() => Some(Answer::None),
        _ if result.is_true_object() => Some(Answer::True),
        _ if result.is_false_object() => Some(Answer::False),
        _ => None,
    }
}

fn check_password<'py>(function: Function, result: &Object<'py>) -> Result<Answer, Refused<'py>> {
    const WANTED: &str = "True, False, None or the name of the user as str";
    if let Some(answer) = plain(result) {
        return Ok(answer);
    }
    if !result.is_text() {
        return Err(refused("WSGI0177", function, &format!("{WANTED}, not {}", result.type_name())));
    }
    match result.to_utf8()? {
        name if name.is_empty() => Err(refused("WSGI0176", function, &format!("{WANTED}, not an empty str"))),
        name => Ok(Answer::Text(name)),
    }
}

fn realm_hash<'py>(function: Function, result: &Object<'py>) -> Result<Answer, Refused<'py>> {
    const WANTED: &str = "None or a hash as str or bytes";
    if result.is_none() {
        return Ok(Answer::None);
    }
    match text(result)? {
        None => Err(refused("WSGI0179", function, &format!("{WANTED}, not {}", result.type_name()))),
        Some(hash) if hash.is_empty() => Err(refused("WSGI0178", function, &format!("{WANTED}, not an empty one"))),
        Some(hash) => Ok(Answer::Text(hash)),
    }
}

fn groups<'py>(function: Function, result: &Object<'py>) -> Result<Answer, Refused<'py>> {
    const WANTED: &str = "an iterable of str or bytes";
    let items = match result.iterator() {
        Ok(items) => items,
        Err(raised) if raised.is(Exception::Type) => {
            return Err(refused("WSGI0051", function, &format!("{WANTED}, not {}", result.type_name())));
        }
        Err(raised) => return Err(raised.into()),
    };
    let mut groups = Vec::new();
    while let Some(item) = items.next()? {
        match text(&item) {
            Ok(Some(group)) => groups.push(group),
            Ok(None) => {
                return Err(refused("WSGI0050", function, &format!("{WANTED}, not with {} in it", item.type_name())));
            }
            Err(raised) => {
                let text = format!("{WANTED} that can be encoded as latin-1: {}", raised.text());
                return Err(refused("WSGI0049", function, &text));
            }
        }
    }
    Ok(Answer::Texts(groups))
}

/// The answer of a function of a dispatch script, `None` where it keeps what there is.
///
/// # Errors
/// `TypeError`, `UnicodeEncodeError`.
pub fn routing<'py>(name: &str, result: &Object<'py>) -> PyResult<'py, Option<Vec<u8>>> {
    if result.is_none() {
        return Ok(None);
    }
    match text(result)? {
        Some(text) => Ok(Some(text)),
        None => {
            let text = format!("{name}() must return str, bytes or None, not {}", result.type_name());
            result.py().raise(Exception::Type, &text)
        }
    }
}

/// A `str` as latin-1, or the content of a `bytes`; `None` for everything else.
fn text<'py>(object: &Object<'py>) -> PyResult<'py, Option<Vec<u8>>> {
    if let Some(bytes) = object.as_bytes() {
        return Ok(Some(bytes.to_vec()));
    }
    if !object.is_text() {
        return Ok(None);
    }
    let mut text = Vec::new();
    object.put_latin1(&mut text)?;
    Ok(Some(text))
}
