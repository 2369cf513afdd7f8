// SPDX-License-Identifier: GPL-2.0
//! Messages: made as a tool would, then spoiled.

use drbd_core::config::option::OptionKind;
use drbd_core::config::resource::ResOpts;
use drbd_core::config::{DiskConf, NetConf};
use drbd_core::genl::attr::{GENLA_F_MANDATORY, NLA_F_NESTED};
use drbd_core::genl::request::{
    DetachParms, DisconnectParms, NewCUuidParms, ResizeParms, SetRoleParms, StartOvParms,
};
use drbd_core::genl::{Field, Kind, Needs, Nest, Op, OpKind, Set, NLM_F_EXCL, NO_MINOR};

use super::random::Random;
use super::socket::NLM_F_DUMP;

/// The resource that must not be harmed; its minor is [`MIRROR_MINOR`].
pub(super) const MIRROR: &str = "r0";
const MIRROR_MINOR: u32 = 1;
/// The resource that may be; its minors are far from the mirror's, bit by bit.
const SCRATCH: &str = "scratch";
const SCRATCH_MINOR: u32 = 0x4b0;
/// Own port and the peer's port of either.
const MIRROR_PORT: u16 = 7789;
const SCRATCH_PORT: u16 = 0x3a5a;
/// The disk that the scratch resource may take.
const SCRATCH_DISK: &[u8] = b"/dev/data1\0";

/// The sets of requests by their numbers.
const SETS: [Set; 9] = [
    DiskConf::SET,
    ResOpts::SET,
    NetConf::SET,
    SetRoleParms::SET,
    ResizeParms::SET,
    StartOvParms::SET,
    NewCUuidParms::SET,
    DisconnectParms::SET,
    DetachParms::SET,
];

/// Whom a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aim {
    /// The mirror, with a defect: it has to be refused.
    Mirror,
    /// The scratch resource: anything may come of it.
    Scratch,
    /// Anybody, but it only asks.
    Question,
}

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) aim: Aim,
    pub(super) command: u8,
    /// Flags of netlink.
    pub(super) flags: u16,
    /// DRBD's header and the attributes.
    pub(super) body: Vec<u8>,
}

/// An attribute, whose length may be a lie.
#[derive(Debug, Clone)]
struct Attribute {
    kind: u16,
    payload: Payload,
    length: Option<u16>,
}

#[derive(Debug, Clone)]
enum Payload {
    Bytes(Vec<u8>),
    Nest(Vec<Attribute>),
}

impl Attribute {
    fn new(kind: u16, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            payload: Payload::Bytes(bytes),
            length: None,
        }
    }

    fn nest(kind: u16, inner: Vec<Self>) -> Self {
        Self {
            kind: kind | NLA_F_NESTED,
            payload: Payload::Nest(inner),
            length: None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        match &self.payload {
            Payload::Bytes(bytes) => payload.extend(bytes),
            Payload::Nest(inner) => inner
                .iter()
                .for_each(|attribute| attribute.write(&mut payload)),
        }
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        out.extend(self.length.unwrap_or(length).to_ne_bytes());
        out.extend(self.kind.to_ne_bytes());
        out.extend(&payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// What a message says before it is flattened.
#[derive(Debug, Clone)]
struct Draft {
    op: Op,
    minor: u32,
    word: u32,
    attributes: Vec<Attribute>,
}

impl Message {
    /// The next one.
    pub(super) fn draw(random: &mut Random, careful: bool) -> Self {
        match random.below(3) {
            0 => Self::at_the_mirror(random),
            1 => Self::at_the_scratch(random, careful),
            _ => Self::question(random),
        }
    }

    /// Takes a resource down.
    pub(super) fn down(name: &[u8]) -> Self {
        let name = text(name);
        let context = Attribute::nest(2, vec![Attribute::new(2 | GENLA_F_MANDATORY, name)]);
        let draft = Draft {
            op: Op::Down,
            minor: NO_MINOR,
            word: 0,
            attributes: vec![context],
        };
        draft.flatten(Aim::Scratch, 0)
    }

    fn at_the_mirror(random: &mut Random) -> Self {
        let op = pick(random, |op| op.kind() == OpKind::Do);
        let mut draft = Draft::new(random, op, MIRROR, MIRROR_MINOR, MIRROR_PORT, true);
        let inner_too = draft.attributes.iter().any(is_nest);
        let unknown = 100 + u16::try_from(random.below(100)).unwrap_or(0);
        let cut = match random.below(if inner_too { 8 } else { 4 }) {
            // Numbers that nobody knows, beside the sets.
            0 => {
                draft.attributes.push(Attribute::nest(unknown, Vec::new()));
                0
            }
            // A set of another operation.
            1 => {
                draft.attributes.push(Attribute::nest(15, Vec::new()));
                0
            }
            // An attribute that is longer than the message.
            2 => {
                let mut long = Attribute::new(2, vec![0; 4]);
                long.length = Some(4096);
                draft.attributes.push(long);
                0
            }
            // A message that ends within its header.
            3 => 1 + random.below(8),
            n => {
                draft.spoil_a_nest(random, n, unknown);
                0
            }
        };
        let flags = if random.once_in(8) { NLM_F_EXCL } else { 0 };
        let mut message = draft.flatten(Aim::Mirror, flags);
        if cut > 0 {
            message.body.truncate(8 - cut);
        }
        message
    }

    fn at_the_scratch(random: &mut Random, careful: bool) -> Self {
        let op = pick(random, |op| {
            let spared = matches!(op, Op::PauseSync | Op::ResumeSync | Op::Attach);
            op.kind() != OpKind::Dump && !(careful && spared)
        });
        let minor = SCRATCH_MINOR + u32::try_from(random.below(8)).unwrap_or(0);
        let draft = Draft::new(random, op, SCRATCH, minor, SCRATCH_PORT, careful);
        let flags = if random.once_in(8) { NLM_F_EXCL } else { 0 };
        let mut message = draft.flatten(Aim::Scratch, flags);
        let wounds = [0, 0, 0, 1, 1, 2, 3];
        for _ in 0..random.one(&wounds).unwrap_or(0) {
            message.wound(random);
        }
        if message.names_the_mirror() {
            message.body.truncate(4);
        }
        message
    }

    fn question(random: &mut Random) -> Self {
        let op = pick(random, |op| {
            !matches!(op.kind(), OpKind::Do) || op == Op::GetTimeoutType
        });
        let (name, minor) = match random.below(3) {
            0 => (MIRROR, MIRROR_MINOR),
            1 => (SCRATCH, SCRATCH_MINOR),
            _ => ("", NO_MINOR),
        };
        let draft = Draft::new(random, op, name, minor, MIRROR_PORT, true);
        let dump = op.kind() != OpKind::Do && random.below(4) != 0;
        let mut message = draft.flatten(Aim::Question, if dump { NLM_F_DUMP } else { 0 });
        if random.once_in(16) {
            message.command = u8::try_from(random.below(20)).unwrap_or(0) + 42;
        }
        for _ in 0..random.below(3) {
            message.wound(random);
        }
        message
    }

    /// Damages some bytes behind DRBD's header, or the length.
    fn wound(&mut self, random: &mut Random) {
        let bits = random.bits().to_le_bytes();
        let length = self.body.len();
        let at = random.below(length.saturating_sub(8)) + 8;
        match random.below(6) {
            0 | 1 => {
                if let Some(byte) = self.body.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            2 => {
                if let Some(byte) = self.body.get_mut(at) {
                    *byte = bits.first().copied().unwrap_or(0);
                }
            }
            3 => self.body.truncate(at),
            4 => self.body.extend(&bits[..1 + random.below(7)]),
            // A piece of it once more.
            _ => {
                let piece: Vec<u8> = self.body.iter().skip(at).take(16).copied().collect();
                let here = at.min(length);
                self.body.splice(here..here, piece);
            }
        }
    }

    /// Whether damage has made it a message to the mirror.
    fn names_the_mirror(&self) -> bool {
        self.body.starts_with(&MIRROR_MINOR.to_ne_bytes())
            || self.body.windows(3).any(|bytes| bytes == b"r0\0")
            || self
                .body
                .windows(2)
                .any(|bytes| bytes == MIRROR_PORT.to_be_bytes())
    }
}

impl Draft {
    /// As a tool would send it, but that the values are drawn; `modest` ones are in their range.
    fn new(random: &mut Random, op: Op, name: &str, minor: u32, port: u16, modest: bool) -> Self {
        let by_minor = op.needs() == Needs::Minor || op == Op::NewMinor;
        let minor = if by_minor { minor } else { NO_MINOR };
        let mut attributes = Vec::new();
        let mut context = Vec::new();
        let mandatory = |number: u16, bytes| Attribute::new(number | GENLA_F_MANDATORY, bytes);
        let with_name = match op.needs() {
            Needs::Connection => false,
            Needs::Minor => random.once_in(3),
            Needs::Resource => true,
            Needs::Nothing => !name.is_empty(),
        };
        if op == Op::NewMinor || (by_minor && with_name) {
            let volume = u32::try_from(random.below(3)).unwrap_or(0);
            context.push(mandatory(1, volume.to_ne_bytes().to_vec()));
        }
        if with_name {
            context.push(mandatory(2, text(name.as_bytes())));
        }
        if matches!(op, Op::Connect | Op::Disconnect | Op::ChgNetOpts) {
            context.push(mandatory(3, address(1, port)));
            context.push(mandatory(4, address(2, port)));
        }
        if !context.is_empty() {
            attributes.push(Attribute::nest(2, context));
        }
        for number in op.request_sets() {
            let set = SETS.iter().find(|set| set.number == *number);
            if let Some(set) = set.filter(|_| op == Op::Attach || !random.once_in(4)) {
                let fields = set.fields.iter().filter_map(|field| {
                    let wanted = field.flags.required && op == Op::Attach;
                    // A change names nothing that is fixed at creation.
                    let fixed = op == Op::ChgDiskOpts && !field.is_resettable();
                    (wanted || (!fixed && random.once_in(6)))
                        .then(|| mandatory(field.number, value(random, field, modest)))
                });
                let fields = fields.collect();
                attributes.push(Attribute::nest(*number, fields));
            }
        }
        Self {
            op,
            minor,
            word: u32::from(random.once_in(8)),
            attributes,
        }
    }

    /// Gives one of the sets a defect.
    fn spoil_a_nest(&mut self, random: &mut Random, how: usize, unknown: u16) {
        let nests: Vec<&mut Attribute> =
            self.attributes.iter_mut().filter(|a| is_nest(a)).collect();
        let chosen = random.below(nests.len());
        let Some(nest) = nests.into_iter().nth(chosen) else {
            return;
        };
        let Payload::Nest(inner) = &mut nest.payload else {
            return;
        };
        let at = random.below(inner.len() + 1);
        match how {
            // A number that nobody knows, with and without DRBD's flag.
            4 => inner.insert(at, Attribute::new(unknown, vec![0; 4])),
            5 => inner.insert(at, Attribute::new(unknown | GENLA_F_MANDATORY, vec![0; 4])),
            // A value of the wrong size: field 1 has 1, 4 or 8 bytes, or is a text without end.
            6 => inner.insert(at, Attribute::new(1, vec![b'x'; 200])),
            // A length that is less than the header's.
            _ => {
                let mut short = Attribute::new(1, vec![0; 4]);
                short.length = Some(u16::try_from(random.below(4)).unwrap_or(0));
                inner.insert(at, short);
            }
        }
    }

    fn flatten(&self, aim: Aim, flags: u16) -> Message {
        let mut body = self.minor.to_ne_bytes().to_vec();
        body.extend(self.word.to_ne_bytes());
        for attribute in &self.attributes {
            attribute.write(&mut body);
        }
        Message {
            aim,
            command: self.op.number(),
            flags,
            body,
        }
    }
}

fn is_nest(attribute: &Attribute) -> bool {
    matches!(attribute.payload, Payload::Nest(_))
}

fn pick(random: &mut Random, fits: impl Fn(Op) -> bool) -> Op {
    loop {
        match random.one(&Op::ALL) {
            Some(op) if fits(op) => return op,
            _ => {}
        }
    }
}

fn text(name: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.push(0);
    bytes
}

/// 10.0.0.`host`, as `sockaddr_in`.
fn address(host: u8, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let mut bytes = 2u16.to_ne_bytes().to_vec();
    bytes.extend([high, low, 10, 0, 0, host]);
    bytes.resize(16, 0);
    bytes
}

/// A value for a field.
fn value(random: &mut Random, field: &Field, modest: bool) -> Vec<u8> {
    let number = match field.option.map(|option| option.kind) {
        _ if !modest && random.once_in(5) => random.bits(),
        Some(OptionKind::Number {
            default, min, max, ..
        }) => {
            let choice = random.one(&[default, default, min, max]).unwrap_or(default);
            u64::from_ne_bytes(choice.to_ne_bytes())
        }
        Some(OptionKind::Enum { default, values }) => {
            let choice = random.below(values.len() + 1);
            let choice = values.get(choice).map_or(default, |value| value.number);
            choice.into()
        }
        _ => random.bits() & 1,
    };
    let bytes = number.to_ne_bytes();
    let narrow = bytes.first_chunk::<4>().copied().unwrap_or_default();
    match (field.kind, field.name) {
        (_, "backing_dev" | "meta_dev") => SCRATCH_DISK.to_vec(),
        // Internal, of any size.
        (_, "meta_dev_idx") => (-3i32).to_ne_bytes().to_vec(),
        (Kind::Flag, _) => vec![u8::from(number & 1 == 1)],
        (Kind::U32 | Kind::S32, _) => narrow.to_vec(),
        (Kind::U64, _) => bytes.to_vec(),
        (Kind::Text { .. }, _) => {
            let words = ["", "sha1", "crc32c", "no such algorithm", "1"];
            text(random.one(&words).unwrap_or_default().as_bytes())
        }
        (Kind::Blob { .. }, _) => address(3, SCRATCH_PORT),
    }
}
