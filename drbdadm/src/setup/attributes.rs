// SPDX-License-Identifier: GPL-2.0
//! Options of the command line as attributes of a request.

use super::address::{self, number_error};
use super::error::{ClientError, SetupError};
use super::getopt::{Given, Parsed};
use drbd_core::config::{parse_number, NumberError, OptionKind, OptionSpec};
use drbd_core::genl::{Field, Kind, Writer};

/// A value that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// The payload as it is.
    Bytes(Vec<u8>),
    /// A string; its NUL is added.
    Text(String),
}

/// A field and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) number: u16,
    pub(super) is_mandatory: bool,
    pub(super) value: Encoded,
}

impl Setting {
    /// A field that is not an option.
    pub(super) fn new(field: &Field, value: Encoded) -> Self {
        Self {
            number: field.number,
            is_mandatory: field.flags.mandatory,
            value,
        }
    }

    /// Appends the attribute.
    pub(super) fn put(&self, writer: &mut Writer<'_>) -> Result<(), ClientError> {
        let raw_type = writer.field_type(self.number, self.is_mandatory);
        match &self.value {
            Encoded::Bytes(bytes) => writer.put_raw(raw_type, bytes)?,
            Encoded::Text(text) => writer.put_text(raw_type, text.as_bytes())?,
        }
        Ok(())
    }
}

/// The settings that the options name. A flag that is `no` is not sent.
pub(super) fn settings(parsed: &Parsed) -> Result<Vec<Setting>, SetupError> {
    let mut settings = Vec::new();
    for (given, value) in &parsed.options {
        if let Given::Field(field, option) = given {
            let encoded = encode(field, option, value.as_deref())?;
            settings.extend(encoded.map(|value| Setting::new(field, value)));
        }
    }
    Ok(settings)
}

fn invalid(option: &OptionSpec, value: &str) -> SetupError {
    SetupError::local(format!(
        "Option --{}: invalid argument '{value}'",
        option.name
    ))
}

fn encode(
    field: &Field,
    option: &OptionSpec,
    value: Option<&str>,
) -> Result<Option<Encoded>, SetupError> {
    let text = value.unwrap_or_default();
    Ok(Some(match option.kind {
        OptionKind::Number { scale, .. } => {
            let number = parse_number(text, scale).map_err(|error| number_error(text, error))?;
            Encoded::Bytes(integer(field, text, number)?)
        }
        OptionKind::Enum { values, .. } => {
            let found = values.iter().find(|known| {
                // Stock takes the protocol in either case, and nothing else.
                known.word == text
                    || (known.word.len() == 1 && known.word.eq_ignore_ascii_case(text))
            });
            let number = found.ok_or_else(|| invalid(option, text))?.number;
            Encoded::Bytes(number.to_ne_bytes().to_vec())
        }
        OptionKind::Bool { .. } | OptionKind::Flag => {
            let is_set = match value {
                None | Some("yes") => true,
                Some("no") => false,
                Some(other) => return Err(invalid(option, other)),
            };
            if option.kind == OptionKind::Flag && !is_set {
                return Ok(None);
            }
            Encoded::Bytes(vec![u8::from(is_set)])
        }
        OptionKind::Text => Encoded::Text(text.to_owned()),
        OptionKind::Address => Encoded::Bytes(address::parse(text)?.as_bytes().to_vec()),
    }))
}

/// The number in the width of its field. What does not fit is refused: stock cuts it off.
fn integer(field: &Field, text: &str, number: u64) -> Result<Vec<u8>, SetupError> {
    let too_large = || number_error(text, NumberError::OutOfRange);
    Ok(match field.kind {
        Kind::U64 => number.to_ne_bytes().to_vec(),
        Kind::S32 => {
            let signed = i64::from_ne_bytes(number.to_ne_bytes());
            i32::try_from(signed)
                .map_err(|_| too_large())?
                .to_ne_bytes()
                .to_vec()
        }
        _ => u32::try_from(number)
            .map_err(|_| too_large())?
            .to_ne_bytes()
            .to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::command::find;
    use super::super::getopt;
    use super::{settings, Encoded, Setting};

    fn run(line: &str) -> Result<Vec<Setting>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (name, rest) = words.split_first().expect("a command");
        let parsed = getopt::parse(find(name).expect("known"), rest).expect("valid");
        settings(&parsed).map_err(|error| error.report())
    }

    fn one(line: &str) -> (u16, Encoded) {
        let settings = run(line).expect("valid");
        let [setting] = &settings[..] else {
            panic!("{settings:?}")
        };
        (setting.number, setting.value.clone())
    }

    #[test]
    fn values() {
        let u32_bytes = |number: u32| Encoded::Bytes(number.to_ne_bytes().to_vec());
        assert_eq!(one("attach --resync-rate=6M"), (8, u32_bytes(6144)));
        assert_eq!(one("attach --resync-after=-1"), (9, u32_bytes(u32::MAX)));
        assert_eq!(
            one("attach --size=10M"),
            (4, Encoded::Bytes(20480_u64.to_ne_bytes().into()))
        );
        assert_eq!(
            one("attach --disk-flushes=no"),
            (17, Encoded::Bytes(vec![0]))
        );
        assert_eq!(one("attach --disk-flushes"), (17, Encoded::Bytes(vec![1])));
        assert_eq!(one("connect --protocol=a"), (6, u32_bytes(1)));
        assert_eq!(one("connect --after-sb-1pri=consensus"), (18, u32_bytes(7)));
        assert_eq!(
            one("connect --shared-secret=x"),
            (1, Encoded::Text("x".into()))
        );
        assert_eq!(one("connect --dry-run"), (28, Encoded::Bytes(vec![1])));
        assert_eq!(
            one("primary --overwrite-data-of-peer"),
            (1, Encoded::Bytes(vec![1]))
        );
    }

    /// A flag that is `no` is not sent; a boolean is.
    #[test]
    fn flags() {
        assert_eq!(run("primary --force=no"), Ok(Vec::new()));
        assert_eq!(run("connect --tentative=no"), Ok(Vec::new()));
        assert_eq!(
            run("connect --use-rle=no").map(|settings| settings.len()),
            Ok(1)
        );
    }

    #[test]
    fn mistakes() {
        let table = [
            (
                "connect --use-rle=maybe",
                "Option --use-rle: invalid argument 'maybe'\n",
            ),
            (
                "connect --protocol=D",
                "Option --protocol: invalid argument 'D'\n",
            ),
            (
                "connect --after-sb-2pri=consensus",
                "Option --after-sb-2pri: invalid argument 'consensus'\n",
            ),
            ("attach --resync-rate=x", "x is not a valid number\n"),
            ("attach --resync-rate=", "missing number argument\n"),
            ("attach --resync-rate=1T", "1T is not a valid number\n"),
            (
                "attach --al-extents=99999999999",
                "99999999999: out of range\n",
            ),
            (
                "connect --alternate-address=ipv6:x",
                "getaddrinfo x: Address family for hostname not supported\n",
            ),
        ];
        for (line, report) in table {
            assert_eq!(run(line), Err(report.to_owned()), "{line}");
        }
    }
}
