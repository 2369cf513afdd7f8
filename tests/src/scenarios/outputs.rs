// SPDX-License-Identifier: GPL-2.0
//! Our drbdsetup beside the stock one on the same module: usage errors, refusals, and every output
//! in each state that a node reaches alone, or that two resources reach as each other's peer.
//!
//! Both programs run on alpha, one after the other; ours does what changes something.

use super::{Scenario, PLAIN};
use crate::error::{ensure, LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Ours drives; whose module it is does not matter.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "outputs-alone",
        about: "drbdsetup: mistakes, refusals and outputs of one node, as stock's",
        source: include_str!("outputs.rs"),
        run: alone,
        ..PLAIN
    },
    Scenario {
        name: "outputs-pair",
        about: "drbdsetup: outputs and events while connected, syncing, verifying, as stock's",
        source: include_str!("outputs.rs"),
        run: pair,
        ..PLAIN
    },
];

const OURS: &str = "/lab/outputs/drbdsetup-84";
const STOCK: &str = "/usr/lib/drbd/drbdsetup-84";
/// How many commands go to the node at once.
const BATCH: usize = 24;

/// Calls that no driver has to answer, or that it refuses before anything is there.
const MISTAKES: &str = "
help; help bogus; --help; xml-help; bogus; role; role abc; role 1 2; role 1 --x; role 1 -x; attach 1
attach 1 /dev/x; attach 1 /etc/passwd; attach 1 /dev/data0 /dev/data0 internal extra
attach 1 /dev/data0 /dev/data0 internal --nosuch; attach 1 /dev/data0 /dev/data0 nonsense
attach 1 /dev/data0 /dev/data0 internal --resync-rate
attach 1 /dev/data0 /dev/data0 internal --resync-rate=x
attach 1 /dev/data0 /dev/data0 internal --resync-rate=
attach 1 /dev/data0 /dev/data0 internal --on-io-error=nonsense; new-resource r0 --on-no-data=x
new-resource ''; new-resource; new-resource a/b; connect r0 ipv4:10.0.0.1:7790; connect r0
disk-options 1 --size=1M; disk-options; status --bogus; status nores r1; status --color=foo
wait-connect 1 --wfc-timeout=x; events2 r0 r1; 1 role; role -- 1; r0 role; down; down r0 r1
down nores; primary 1 --force=maybe; primary 99 --force=no; primary 99 --f; new-minor r0 1
new-minor nores 1 x; new-minor nores 1 -- -1; new-minor nores 1 0; disconnect
disconnect 10.0.0.1 10.0.0.2; net-options 10.0.0.1 10.0.0.2 --timeout=50
connect r0 ipv4:10.0.0.1:x ipv4:10.0.0.2; connect r0 ipv6:10.0.0.1 ipv4:10.0.0.2
connect r0 ipv4:10.0.0.1 bogus:10.0.0.2; connect r0 ipv4:10.0.0.999:1 ipv4:10.0.0.2
connect r0 nonsense:10.0.0.1:7790 10.0.0.2; connect r0 ipv4:hostname:7790 10.0.0.2
connect r0 ipv4:10.0.0.1 bogus:10.0.0.2; resource-options nores --cpu-mask=1; role /dev/drbd99
role minor-1; role /dev/data0; del-minor 99; del-resource nores; resize 99 --size=x
wait-connect 99 --wfc-timeout=1; help attach";

/// What is asked in each state, of minor `$M` and resource `$R`.
const QUESTIONS: &str = "
role $M; cstate $M; dstate $M; show-gi $M; get-gi $M; sh-status $M; check-resize $M; show $M
sh-status; sh-status $R; sh-status nores; show; show $R; show nores; show $R --show-defaults
status; status $R; status --verbose; status $R --verbose; status --statistics
status $R --statistics; status --verbose --statistics; status $R --verbose --statistics
status --color=always; status $R --verbose --statistics --color=always; status nores; events2 --now
events2 --now --statistics; events2 $R --now; events2 nores --now";

/// Those that end by themselves only when a node is alone.
const WAITING: &str = "
wait-connect $M --wfc-timeout=1 --degr-wfc-timeout=1 --outdated-wfc-timeout=1";

/// What must be equal.
#[derive(Clone, Copy, PartialEq)]
enum Equal {
    /// Everything.
    Exactly,
    /// Everything but the numbers, which move, and the blanks that numbers are padded with.
    ButNumbers,
}

/// The commands of a text: lines and semicolons part them.
fn commands(text: &str) -> Vec<String> {
    let all = text.split(['\n', ';']).map(str::trim);
    all.filter(|c| !c.is_empty()).map(str::to_owned).collect()
}

/// The comparison so far.
struct Both<'n> {
    node: &'n Node,
    compared: usize,
    different: Vec<String>,
}

/// What a program did: exit code, standard output, standard error.
#[derive(PartialEq)]
struct Answer {
    code: String,
    stdout: String,
    stderr: String,
}

impl<'n> Both<'n> {
    fn new(lab: &'n Lab) -> Result<Self> {
        let (node, _) = lab.pair();
        node.sh(
            "mkdir -p /lab/outputs && ip link set lo up && ip addr replace 10.0.0.1/32 dev lo",
        )?;
        node.push(&lab.setup().build.tools.join("drbdsetup"), OURS, 0o755)?;
        // The nodes have no configuration, which handlers or the end of the run could read.
        for node in lab.nodes() {
            node.sh("rm -f /etc/drbd.conf")?;
        }
        node.sh("printf /bin/true >/sys/module/drbd/parameters/usermode_helper")?;
        Ok(Self {
            node,
            compared: 0,
            different: Vec::new(),
        })
    }

    /// Carries out with ours.
    fn act(&self, text: &str) -> Result<()> {
        for command in commands(text) {
            self.node.sh(&format!("{OURS} {command}"))?;
        }
        Ok(())
    }

    /// Asks both in each state the same, of a minor and its resource.
    fn question(&mut self, equal: Equal, minor: &str, resource: &str) -> Result<()> {
        let text = QUESTIONS.replace("$M", minor).replace("$R", resource);
        self.same(equal, &text)
    }

    /// Compares both on each of the commands, which are questions or are refused.
    fn same(&mut self, equal: Equal, text: &str) -> Result<()> {
        for batch in commands(text).chunks(BATCH) {
            let mut script = format!(
                "c() {{ for p in {STOCK} {OURS}; do $p \"$@\" >/tmp/out 2>/tmp/err </dev/null; \
                 printf '%s\\035' $?; cat /tmp/out; printf '\\035'; cat /tmp/err; printf '\\036'; \
                 done; }}\n"
            );
            for command in batch {
                script.push_str("c ");
                script.push_str(command);
                script.push('\n');
            }
            let text = self.node.sh_within(&script, time::resync())?;
            let answers: Option<Vec<Answer>> = text
                .split_terminator('\x1e')
                .map(|answer| {
                    let mut parts = answer.splitn(3, '\x1d').map(str::to_owned);
                    Some(Answer {
                        code: parts.next()?,
                        stdout: parts.next()?,
                        stderr: parts.next()?,
                    })
                })
                .collect();
            let answers = answers.filter(|answers| answers.len() == 2 * batch.len());
            let answers =
                answers.ok_or_else(|| LabError::Mismatch(format!("no answers:\n{text}")))?;
            for (command, both) in batch.iter().zip(answers.chunks(2)) {
                self.compare(equal, command, both);
            }
        }
        Ok(())
    }

    fn compare(&mut self, equal: Equal, command: &str, both: &[Answer]) {
        let [stock, ours] = both else { return };
        self.compared += 1;
        let alike = match equal {
            Equal::Exactly => stock == ours,
            Equal::ButNumbers => {
                stock.code == ours.code
                    && stock.stderr == ours.stderr
                    && without_numbers(&stock.stdout) == without_numbers(&ours.stdout)
            }
        };
        // Colours and statistics together are broken into lines by their width.
        let folded = command.contains("--color=always") && stock.code == ours.code;
        if alike || folded && without_numbers(&stock.stdout) == without_numbers(&ours.stdout) {
            return;
        }
        let Answer {
            code,
            stdout,
            stderr,
        } = stock;
        self.different.push(format!(
            "{command}\nstock, exit {code}:\n{stdout}{stderr}ours, exit {}:\n{}{}",
            ours.code, ours.stdout, ours.stderr
        ));
    }

    fn settle(self) -> Result<()> {
        ensure(self.compared > 0 && self.different.is_empty(), || {
            let shown: Vec<&str> = self.different.iter().take(6).map(String::as_str).collect();
            format!(
                "{} of {} commands differ; the first:\n{}",
                self.different.len(),
                self.compared,
                shown.join("\n")
            )
        })
    }
}

/// Digits as one `N` each run, blanks and line ends as one blank each run.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = match c {
            '0'..='9' | '.' => 'N',
            '\n' | '\t' => ' ',
            c => c,
        };
        if !(matches!(c, 'N' | ' ') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

fn alone(lab: &Lab) -> Result<()> {
    use Equal::Exactly;
    let mut both = Both::new(lab)?;
    both.same(Exactly, MISTAKES)?;
    let names = both.node.sh(&format!(
        "{STOCK} help | sed -n '/^Commands/,/^$/p' | tail -n +2"
    ))?;
    for name in names.split_whitespace() {
        both.same(Exactly, &format!("help {name}; xml-help {name}"))?;
    }
    both.question(Exactly, "1", "r0")?;
    both.act("new-resource r0 --on-no-data-accessible=suspend-io")?;
    both.question(Exactly, "1", "r0")?;
    both.same(Exactly, "new-resource r0; new-resource r0 extra")?;
    both.act("new-minor r0 1 0")?;
    both.question(Exactly, "1", "r0")?;
    both.same(
        Exactly,
        "new-minor r0 1 1; new-minor r0 2 0; new-minor r0 1048576 0; new-minor r0 3 65535
         del-resource r0; detach 1; secondary 1; primary 1; primary 1 --force; invalidate 1
         outdate 1; verify 1; resize 1; new-current-uuid 1; disk-options 1 --al-extents=300",
    )?;
    both.node
        .sh("drbdmeta --force 1 v08 /dev/data0 internal create-md")?;
    both.same(Exactly, "attach 1 /dev/data1 /dev/data1 internal")?;
    both.act(
        "attach 1 /dev/data0 /dev/data0 internal --resync-rate=6M --disk-flushes=no --size=20M \
         --on-io-error=pass_on --al-extents=1000",
    )?;
    both.question(Exactly, "1", "r0")?;
    both.same(
        Exactly,
        "attach 1 /dev/data0 /dev/data0 internal; del-minor 1; invalidate 1; outdate 1
         disk-options 1 --resync-after=1; disk-options 1 --resync-after=-5",
    )?;
    both.act("disk-options 1 --set-defaults --al-extents=257")?;
    both.question(Exactly, "1", "r0")?;
    both.act("pause-sync 1")?;
    both.same(Exactly, "pause-sync 1")?;
    both.question(Exactly, "1", "r0")?;
    both.act("resume-sync 1")?;
    both.same(Exactly, "resume-sync 1")?;
    both.act("primary 1 --force")?;
    both.question(Exactly, "1", "r0")?;
    both.act("suspend-io 1")?;
    both.question(Exactly, "1", "r0")?;
    both.act("resume-io 1")?;
    both.act(
        "connect r0 ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --protocol=A --shared-secret='a\"b' \
         --verify-alg=crc32c --discard-my-data=no --allow-two-primaries=no --timeout=60",
    )?;
    both.node.wait_drbd(1, "cs:WFConnection")?;
    both.question(Exactly, "1", "r0")?;
    both.same(Exactly, &WAITING.replace("$M", "1"))?;
    both.same(
        Exactly,
        "connect r0 ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790
         connect r0 ipv4:10.0.0.1:7791 ipv4:10.0.0.2:7791; del-resource r0
         net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --verify-alg=nonsense
         net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --alternate-address=1.2.3.4
         connect r0 10.0.0.1 10.0.0.2 --alternate-address=1.2.3.4; verify 1; new-current-uuid 1
         invalidate-remote 1",
    )?;
    both.act("net-options ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --set-defaults --ping-int=7")?;
    both.question(Exactly, "1", "r0")?;
    both.act("new-resource r1; new-minor r1 5 3; new-minor r1 6 7")?;
    both.question(Exactly, "5", "r1")?;
    both.node.sh("udevadm settle")?;
    both.act("down r0; down r1")?;
    both.question(Exactly, "1", "r0")?;
    both.settle()
}

/// What both listen to from the beginning to the end.
const LISTENERS: [&str; 5] = ["events2", "events2 a", "events", "events 1", "events b"];
const A_TO_B: &str = "10.0.0.1:7001 10.0.0.1:7002";
const B_TO_A: &str = "10.0.0.1:7002 10.0.0.1:7001";

/// The file that a listener writes.
fn heard(program: &str, listener: &str) -> String {
    let who = if program == OURS { "ours" } else { "stock" };
    format!("/tmp/{who}.{}", listener.replace(' ', "."))
}

fn pair(lab: &Lab) -> Result<()> {
    use Equal::{ButNumbers, Exactly};
    let mut both = Both::new(lab)?;
    let node = both.node;
    for program in [STOCK, OURS] {
        for listener in LISTENERS {
            let file = heard(program, listener);
            node.sh(&format!(
                "{program} {listener} >{file} 2>&1 </dev/null & echo $! >>/tmp/pids"
            ))?;
        }
    }
    for listener in LISTENERS
        .iter()
        .filter(|listener| listener.starts_with("events2"))
    {
        // The list of what exists has been told: from now on both hear the same.
        for program in [STOCK, OURS] {
            node.wait_file(
                "the list",
                &heard(program, listener),
                "exists -",
                time::command(),
            )?;
        }
    }
    both.act("new-resource a; new-resource b; new-minor a 1 0; new-minor b 2 0")?;
    both.act("new-minor a 3 1; new-minor b 4 1")?;
    for (minor, disk) in [(1, "/dev/data0"), (2, "/dev/data1")] {
        node.sh(&format!(
            "drbdmeta --force {minor} v08 {disk} internal create-md"
        ))?;
        let slow = "--resync-rate=300k --c-plan-ahead=0";
        both.act(&format!("attach {minor} {disk} {disk} internal {slow}"))?;
    }
    let options = "--verify-alg=crc32c --ping-timeout=60 --timeout=60";
    both.act(&format!("connect a {A_TO_B} {options}"))?;
    both.question(Exactly, "1", "a")?;
    both.act(&format!("connect b {B_TO_A} {options}"))?;
    for minor in [1, 2] {
        node.wait_drbd(minor, "cs:Connected")?;
    }
    for program in [STOCK, OURS] {
        node.sh(&format!(
            "{program} wait-connect 1 --wfc-timeout=60 --degr-wfc-timeout=60 \
                          --outdated-wfc-timeout=60"
        ))?;
    }
    both.question(Exactly, "1", "a")?;
    both.question(Exactly, "2", "b")?;
    both.act("primary 1 --force")?;
    node.wait_drbd(1, "cs:SyncSource")?;
    both.question(ButNumbers, "1", "a")?;
    both.question(ButNumbers, "2", "b")?;
    both.act("pause-sync 1")?;
    node.wait_drbd(2, "cs:PausedSyncT")?;
    both.question(ButNumbers, "2", "b")?;
    both.same(
        Exactly,
        "primary 2; outdate 1; outdate 2; verify 1; resize 1; new-current-uuid 1
         disconnect 1.2.3.4 10.0.0.1:7001",
    )?;
    both.act("resume-sync 1")?;
    both.act("disk-options 2 --resync-rate=100M --c-plan-ahead=0")?;
    both.act("disk-options 1 --resync-rate=100M --c-plan-ahead=0")?;
    for minor in [1, 2] {
        node.wait_drbd_within(minor, "cs:Connected", time::resync())?;
    }
    for program in [STOCK, OURS] {
        node.sh(&format!("{program} wait-sync 1"))?;
    }
    both.question(Exactly, "1", "a")?;
    both.question(Exactly, "2", "b")?;
    both.act("disk-options 1 --resync-rate=500k --c-plan-ahead=0; verify 1")?;
    node.wait_drbd(1, "cs:VerifyS")?;
    both.question(ButNumbers, "1", "a")?;
    both.question(ButNumbers, "2", "b")?;
    both.act(&format!("disconnect {A_TO_B}"))?;
    node.wait_drbd(1, "cs:StandAlone")?;
    node.wait_drbd(2, "cs:WFConnection")?;
    both.question(Exactly, "1", "a")?;
    both.question(Exactly, "2", "b")?;
    node.sh("udevadm settle")?;
    both.act("detach 2; down b; secondary 1")?;
    both.question(Exactly, "1", "a")?;
    both.act("down a")?;
    same_events(&mut both)?;
    both.settle()
}

/// The lines about one resource, without their numbers: what is said of two resources at the same
/// time comes to each listener in its own order.
fn told_of(text: &str, resource: &str) -> String {
    let names = [format!("name:{resource}"), format!("- {resource}")];
    let volume = format!(",{resource}[");
    let lines = text.lines().filter(|line| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
        let named = |name: &String| line.split(name.as_str()).skip(1).any(ends);
        names.iter().any(named) || line.contains(&volume)
    });
    let told: Vec<&str> = lines
        .map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit()))
        .collect();
    told.join("\n")
}

/// Both listeners have heard the same.
fn same_events(both: &mut Both<'_>) -> Result<()> {
    for listener in LISTENERS {
        // The end of resource a, or of all, is the last thing that either hears.
        let last = match listener {
            "events2" | "events2 a" => "destroy resource name:a",
            _ => "",
        };
        for program in [STOCK, OURS] {
            both.node.wait_file(
                "the last event",
                &heard(program, listener),
                last,
                time::command(),
            )?;
        }
    }
    both.node.sh("kill $(cat /tmp/pids)")?;
    for listener in LISTENERS {
        let read = |program: &str| -> Result<String> {
            let bytes = both.node.get(&heard(program, listener))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let heard = [read(STOCK)?, read(OURS)?];
        for resource in ["a", "b"] {
            let answers = heard.each_ref().map(|text| Answer {
                code: String::new(),
                stdout: told_of(text, resource),
                stderr: String::new(),
            });
            both.compare(Equal::Exactly, listener, &answers);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_parted_by_lines_and_semicolons() {
        assert_eq!(
            commands("\n a b; c\n d --e='f g' "),
            ["a b", "c", "d --e='f g'"]
        );
    }

    #[test]
    fn what_is_told_of_a_resource_has_its_name() {
        let text = "3 R - a\n4 R - b\n5 ST 1,a[0] { cs }\nexists resource name:a role\n\
                    exists resource name:ab role";
        assert_eq!(
            told_of(text, "a"),
            " R - a\n ST 1,a[0] { cs }\nexists resource name:a role"
        );
    }

    #[test]
    fn numbers_and_blanks_do_not_count() {
        assert_eq!(without_numbers("a:12.5  b\nc:7"), "a:N b c:N");
    }
}
