//! Calls of functions in access, authentication, group and dispatch scripts, which run in Apache's children: what is asked,
//! and what came back.

use crate::wire::{PairWriter, Pairs, Reader, WireError, put_bytes};

/// Which function of which script is to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    /// `allow_access(environ, host)` of `WSGIAccessScript`.
    AllowAccess = 1,
    /// `check_password(environ, user, password)` of `WSGIAuthUserScript`.
    CheckPassword = 2,
    /// `get_realm_hash(environ, user, realm)` of `WSGIAuthUserScript`.
    GetRealmHash = 3,
    /// `groups_for_user(environ, user)` of `WSGIAuthGroupScript`.
    GroupsForUser = 4,
    /// `process_group(environ)`, `application_group(environ)` and `callable_object(environ)` of `WSGIDispatchScript`,
    /// each only if the script has it.
    Dispatch = 5,
}

impl Function {
    fn from_byte(byte: u8) -> Result<Self, WireError> {
        Ok(match byte {
            1 => Self::AllowAccess,
            2 => Self::CheckPassword,
            3 => Self::GetRealmHash,
            4 => Self::GroupsForUser,
            5 => Self::Dispatch,
            _ => return Err(WireError::BadValue("function of a script")),
        })
    }

    /// Its name in the script; of [`Function::Dispatch`] the first one's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowAccess => "allow_access",
            Self::CheckPassword => "check_password",
            Self::GetRealmHash => "get_realm_hash",
            Self::GroupsForUser => "groups_for_user",
            Self::Dispatch => "process_group",
        }
    }
}

/// The functions of a dispatch script, in the order in which they are called and their answers come.
pub const DISPATCH: [&str; 3] = ["process_group", "application_group", "callable_object"];

/// A call, as the module writes it and the host reads it.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Which function.
    pub function: Function,
    /// Whether the script is to be looked at for changes.
    pub reloading: bool,
    /// Path of the script.
    pub script: &'a [u8],
    /// Which interpreter; empty is the main one.
    pub application_group: &'a [u8],
    /// The arguments behind the environ, to be decoded as latin-1.
    pub arguments: Vec<&'a [u8]>,
    /// The environ entries; a later one replaces an earlier one of the same name.
    pub environ: Pairs<'a>,
}

impl<'a> Call<'a> {
    /// Writes a call; `environ` writes the entries.
    pub fn write(
        function: Function,
        reloading: bool,
        script: &[u8],
        application_group: &[u8],
        arguments: &[&[u8]],
        environ: impl FnOnce(&mut PairWriter<'_>),
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        out.push(function as u8);
        out.push(u8::from(reloading));
        put_bytes(&mut out, script);
        put_bytes(&mut out, application_group);
        out.push(arguments.len() as u8);
        arguments.iter().for_each(|argument| put_bytes(&mut out, argument));
        environ(&mut PairWriter::new(&mut out));
        out
    }

    /// Reads a call.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let function = Function::from_byte(reader.u8()?)?;
        let reloading = reader.u8()? != 0;
        let (script, application_group) = (reader.bytes()?, reader.bytes()?);
        let count = reader.u8()?;
        let arguments = (0..count).map(|_| reader.bytes()).collect::<Result<_, _>>()?;
        Ok(Self { function, reloading, script, application_group, arguments, environ: Pairs::new(reader.rest()) })
    }
}

/// What a function answered. Every failure but [`Answer::NotLoaded`] and [`Answer::Missing`] has been logged by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `None`, the object.
    None,
    /// `True`, the object.
    True,
    /// `False`, the object.
    False,
    /// Text: str (UTF-8 for a user's name, else latin-1) or bytes, of `check_password` and `get_realm_hash`.
    Text(Vec<u8>),
    /// The texts of `groups_for_user`.
    Texts(Vec<Vec<u8>>),
    /// What a dispatch script said, in the order of [`DISPATCH`]; `None` keeps what there is.
    Routing([Option<Vec<u8>>; 3]),
    /// The script has no such function.
    Missing,
    /// The script could not be loaded; logged.
    NotLoaded,
    /// The function raised, or answered something else; logged.
    Failed,
}

impl Answer {
    /// The bytes of this answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let number = match self {
            Self::None => 0,
            Self::True => 1,
            Self::False => 2,
            Self::Text(_) => 3,
            Self::Texts(_) => 4,
            Self::Routing(_) => 5,
            Self::Missing => 6,
            Self::NotLoaded => 7,
            Self::Failed => 8,
        };
        out.push(number);
        match self {
            Self::Text(text) => put_bytes(&mut out, text),
            Self::Texts(texts) => texts.iter().for_each(|text| put_bytes(&mut out, text)),
            Self::Routing(routing) => routing.iter().for_each(|value| {
                out.push(u8::from(value.is_some()));
                put_bytes(&mut out, value.as_deref().unwrap_or_default());
            }),
            _ => {}
        }
        out
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`].
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        Ok(match reader.u8()? {
            0 => Self::None,
            1 => Self::True,
            2 => Self::False,
            3 => Self::Text(reader.bytes()?.to_vec()),
            4 => {
                let mut texts = Vec::new();
                while !reader.is_empty() {
                    texts.push(reader.bytes()?.to_vec());
                }
                Self::Texts(texts)
            }
            5 => {
                let mut routing = [const { None }; 3];
                for value in &mut routing {
                    let is_some = reader.u8()? != 0;
                    let text = reader.bytes()?;
                    *value = is_some.then(|| text.to_vec());
                }
                Self::Routing(routing)
            }
            6 => Self::Missing,
            7 => Self::NotLoaded,
            8 => Self::Failed,
            _ => return Err(WireError::BadValue("answer of a script")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Key;

    #[test]
    fn a_call_comes_back_as_it_was_written() {
        let bytes = Call::write(Function::CheckPassword, true, b"/s", b"g", &[b"user", b"secret"], |environ| {
            environ.known(Key::REQUEST_METHOD, b"GET");
        });
        let call = Call::decode(&bytes).unwrap();
        assert_eq!((call.function, call.reloading), (Function::CheckPassword, true));
        assert_eq!((call.script, call.application_group), (&b"/s"[..], &b"g"[..]));
        assert_eq!(call.arguments, [&b"user"[..], b"secret"]);
        assert_eq!(call.environ.count(), 1);
        for cut in 0..bytes.len() {
            if let Ok(call) = Call::decode(&bytes[..cut]) {
                assert!(call.environ.clone().all(|entry| entry.is_ok()) || cut > 20);
            }
        }
    }

    #[test]
    fn answers_come_back_as_they_were_written() {
        for answer in [
            Answer::None,
            Answer::True,
            Answer::False,
            Answer::Text(b"hash".to_vec()),
            Answer::Texts(vec![b"a".to_vec(), b"b".to_vec()]),
            Answer::Texts(Vec::new()),
            Answer::Routing([None, Some(Vec::new()), Some(b"x".to_vec())]),
            Answer::Missing,
            Answer::NotLoaded,
            Answer::Failed,
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }
}
