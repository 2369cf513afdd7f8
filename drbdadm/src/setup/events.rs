// SPDX-License-Identifier: GPL-2.0
//! `events`: the old form of events, still read by scripts.

use super::client::{Client, Status, Target};
use super::error::{ClientError, SetupError};
use super::netlink::{Incoming, Message};
use super::{sh_status, words, Call, Io};
use drbd_core::genl::status::{SibReason, StateInfo};
use drbd_core::genl::{Context, Nest, Op};
use drbd_core::state::DeviceState;
use std::fmt::Write as _;

/// Runs `events`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    client.netlink().subscribe().map_err(about(&call.object))?;
    let minor = call.resource().and_then(|word| words::minor(word).ok());
    let resource = call.resource().filter(|_| minor.is_none());
    let first = match minor {
        Some(minor) => client
            .get(Op::GetStatus, &Target::Minor(minor))
            .map(|message| vec![message]),
        None => client.dump(Op::GetStatus, resource),
    };
    let first = match first {
        // What does not exist yet may come.
        Err(ClientError::Refused { .. } | ClientError::Dump(_)) => Vec::new(),
        other => other.map_err(about(&call.object))?,
    };
    for message in first {
        let text = describe(&message).map_err(about(&call.object))?;
        io.out.write_all(text.as_bytes())?;
    }
    io.out.flush()?;
    loop {
        match client
            .netlink()
            .receive(None)
            .map_err(about(&call.object))?
        {
            Some(Incoming::Message(message)) => {
                if !concerns(&message, minor, resource).map_err(about(&call.object))? {
                    continue;
                }
                let text = describe(&message).map_err(about(&call.object))?;
                io.out.write_all(text.as_bytes())?;
                io.out.flush()?;
            }
            Some(Incoming::FamilyGone) => return Ok(0),
            _ => {}
        }
    }
}

fn concerns(
    message: &Message,
    minor: Option<u32>,
    resource: Option<&str>,
) -> Result<bool, ClientError> {
    if minor.is_some() {
        return Ok(message.header.minor() == minor);
    }
    let Some(resource) = resource else {
        return Ok(true);
    };
    Ok(Status::from_message(message)?.resource() == resource)
}

/// The lines for a message.
fn describe(message: &Message) -> Result<String, ClientError> {
    let seq = message.seq;
    let top = message.top()?;
    if top.set(&Context::SET).is_none() {
        let texts: Vec<String> = message
            .texts()
            .iter()
            .map(|text| format!("{seq} # {text}\n"))
            .collect();
        return Ok(texts.concat());
    }
    let status = Status::from_message(message)?;
    let Some(info) = &status.state else {
        return Ok(format!("{seq} R - {}\n", status.resource()));
    };
    Ok(lines(seq, &status, info))
}

fn lines(seq: u32, status: &Status, info: &StateInfo) -> String {
    let object = format!(
        "{},{}[{}]",
        status.minor.unwrap_or(u32::MAX),
        status.resource(),
        status.context.volume.unwrap_or_default()
    );
    let state = |tag: &str, word: u32| format!("{seq} {tag} {object} {}\n", state_text(word));
    let helper = info.helper.map(|name| name.to_string()).unwrap_or_default();
    match SibReason::from_number(info.sib_reason) {
        Some(SibReason::StatusReply) => state("ST", info.current_state),
        Some(SibReason::StateChange) => {
            let mut text = String::new();
            if let Some(word) = info.prev_state {
                text += &state("ST-prev", word);
            }
            if let Some(word) = info.new_state {
                text += &state("ST-new", word);
            }
            text + &state("ST", info.current_state)
        }
        Some(SibReason::HelperPre) => format!("{seq} UH {object} {helper}\n"),
        Some(SibReason::HelperPost) => {
            let code = info.helper_exit_code.unwrap_or_default();
            format!("{seq} UH-post {object} {helper} 0x{code:04x}\n")
        }
        Some(SibReason::SyncProgress) => {
            let percent = sh_status::percent(info).unwrap_or_else(|| "100.0".to_owned());
            format!("{seq} SP {object} {percent}\n")
        }
        None => {
            let reason = info.sib_reason;
            format!("{seq} ?? {object} <other message, state info broadcast reason:{reason}>\n")
        }
    }
}

/// `{ cs:… ro:…/… ds:…/… r--- }`
fn state_text(word: u32) -> String {
    let Ok(state) = DeviceState::from_word(word) else {
        return format!("{{ unknown state 0x{word:x} }}");
    };
    let flag = |is_set: bool, letter: char| if is_set { letter } else { '-' };
    let mut text = format!(
        "{{ cs:{} ro:{}/{} ds:{}/{} ",
        state.conn, state.role, state.peer, state.disk, state.pdsk
    );
    let _ = write!(
        text,
        "{}{}{}{} }}",
        if state.is_suspended() { 's' } else { 'r' },
        flag(state.aftr_isp, 'a'),
        flag(state.peer_isp, 'p'),
        flag(state.user_isp, 'u'),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::setup::client::Status;
    use drbd_core::genl::status::StateInfo;
    use drbd_core::genl::{Context, Text};
    use drbd_core::state::{Conn, DeviceState, Disk};

    fn status() -> Status {
        Status {
            minor: Some(1),
            context: Context::device(Text::new(b"r0").expect("short"), 0),
            res_opts: None,
            disk_conf: None,
            net_conf: None,
            state: None,
        }
    }

    /// Lines of drbdsetup-84, see the live captures.
    #[test]
    fn golden() {
        let new = DeviceState {
            disk: Disk::Attaching,
            ..DeviceState::NEW
        };
        let change = StateInfo {
            sib_reason: 2,
            prev_state: Some(DeviceState::NEW.to_word()),
            new_state: Some(new.to_word()),
            current_state: new.to_word(),
            ..StateInfo::default()
        };
        let expected = "\
            97 ST-prev 1,r0[0] { cs:StandAlone ro:Secondary/Unknown ds:Diskless/DUnknown r--- }\n\
            97 ST-new 1,r0[0] { cs:StandAlone ro:Secondary/Unknown ds:Attaching/DUnknown r--- }\n\
            97 ST 1,r0[0] { cs:StandAlone ro:Secondary/Unknown ds:Attaching/DUnknown r--- }\n";
        assert_eq!(lines(97, &status(), &change), expected);

        let helper = |reason, code| StateInfo {
            sib_reason: reason,
            helper: Text::new(b"before-resync-source"),
            helper_exit_code: code,
            ..StateInfo::default()
        };
        assert_eq!(
            lines(105, &status(), &helper(3, None)),
            "105 UH 1,r0[0] before-resync-source\n"
        );
        assert_eq!(
            lines(106, &status(), &helper(4, Some(0))),
            "106 UH-post 1,r0[0] before-resync-source 0x0000\n"
        );
        let progress = StateInfo {
            sib_reason: 5,
            bits_rs_total: Some(32_758),
            bits_oos: Some(28_000),
            ..StateInfo::default()
        };
        assert_eq!(lines(108, &status(), &progress), "108 SP 1,r0[0] 15.7\n");
        let suspended = DeviceState {
            susp: true,
            user_isp: true,
            conn: Conn::Connected,
            ..new
        };
        let reply = StateInfo {
            sib_reason: 1,
            current_state: suspended.to_word(),
            ..StateInfo::default()
        };
        assert!(lines(1, &status(), &reply).ends_with(" s--u }\n"));
    }
}
