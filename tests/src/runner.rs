// SPDX-License-Identifier: GPL-2.0
//! Runs scenarios: one boot per pairing and kind of machine, modules loaded anew for each.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::error::{LabError, Result};
use crate::lab::{load_module, Lab, Setup};
use crate::machine::Clock;
use crate::node::Node;
use crate::oracle::{self, Record};
use crate::scenarios::{Oracle, Scenario};
use crate::soak;
use crate::stack::{Build, Pair};

/// What is to be run, and where things are.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pairings.
    pub pairs: Vec<Pair>,
    /// Our module and tools.
    pub build: Build,
    /// The checkout, for the stored oracle.
    pub checkout: PathBuf,
    /// The folder for what the run leaves behind.
    pub folder: PathBuf,
    /// The kernel, as `uname -r` says it.
    pub kernel: String,
    /// Runs C on both nodes although its result is stored, and stores what comes out.
    pub renew_oracle: bool,
    /// Which scenarios run on a pairing.
    pub extent: Extent,
    /// How many pairings run side by side.
    pub jobs: usize,
}

/// Which scenarios run on a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those that ask for it.
    Asked,
    /// All.
    All,
    /// Those that a soak asks of it, in their long form.
    Soak,
}

impl Extent {
    fn takes(self, scenario: &Scenario, pair: Pair) -> bool {
        match self {
            Self::Asked => scenario.asks(pair),
            Self::All => true,
            Self::Soak => soak::asks(scenario, pair),
        }
    }
}

/// How many scenarios ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// As they should.
    pub passed: u32,
    /// Otherwise.
    pub failed: u32,
    /// By their stored oracle; counted in `passed` too.
    pub stored: u32,
}

impl Tally {
    /// Counts what another part of the run came to.
    pub fn add(&mut self, part: Self) {
        self.passed += part.passed;
        self.failed += part.failed;
        self.stored += part.stored;
    }
}

/// Scenarios that share a boot: one pairing on one kind of machine.
struct Group {
    pair: Pair,
    scenarios: Vec<Scenario>,
    folder: PathBuf,
}

/// Runs all scenarios on all pairings that they ask for; one line each on standard output.
///
/// # Errors
/// Only when the results can't be kept; a scenario that fails is counted.
pub fn run(plan: &Plan, scenarios: &[Scenario]) -> Result<Tally> {
    let mut tally = Tally::default();
    let groups = Mutex::new(plan_groups(plan, scenarios, &mut tally));
    let tallies: Vec<Result<Tally>> = thread::scope(|scope| {
        // A machine lives no longer than the thread that started it: each worker sees its groups
        // through from boot to end.
        let workers: Vec<_> = (0..plan.jobs.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    loop {
                        let next = groups
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .pop_front();
                        match next {
                            Some(group) => run_group(plan, &group, &mut tally)?,
                            None => return Ok(tally),
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(LabError::Mismatch("a worker of the lab died".into())))
            })
            .collect()
    });
    for part in tallies {
        tally.add(part?);
    }
    Ok(tally)
}

/// Sorts out what is to be booted for; what a stored oracle answers is counted at once.
fn plan_groups(plan: &Plan, scenarios: &[Scenario], tally: &mut Tally) -> VecDeque<Group> {
    let mut groups = VecDeque::new();
    for &pair in &plan.pairs {
        let mut kinds: BTreeMap<String, Vec<Scenario>> = BTreeMap::new();
        for scenario in scenarios {
            if !plan.extent.takes(scenario, pair) {
                continue;
            }
            if pair.is_oracle() && !plan.renew_oracle {
                if let Some(record) = oracle::stored(&plan.checkout, scenario, &plan.kernel) {
                    line(
                        "ok",
                        scenario,
                        pair,
                        &format!("stored oracle: {}", record.result),
                    );
                    tally.passed += 1;
                    tally.stored += 1;
                    continue;
                }
            }
            let kind = format!("{:?}", (scenario.hardware)());
            kinds.entry(kind).or_default().push(*scenario);
        }
        for (index, scenarios) in kinds.into_values().enumerate() {
            groups.push_back(Group {
                pair,
                scenarios,
                folder: plan
                    .folder
                    .join(format!("{pair}-{index}").replace(':', "-")),
            });
        }
    }
    groups
}

fn line(verdict: &str, scenario: &Scenario, pair: Pair, remark: &str) {
    let pair = pair.to_string();
    println!("{verdict:<4} {:<24} {pair:<22} {remark}", scenario.name);
}

/// Runs the scenarios of a group. A lab in which one failed is not used for the next.
fn run_group(plan: &Plan, group: &Group, tally: &mut Tally) -> Result<()> {
    let pair = group.pair;
    let mut lab: Option<Lab> = None;
    for (boot, scenario) in group.scenarios.iter().enumerate() {
        let start = Instant::now();
        let booted = match lab.take() {
            Some(lab) => Ok(lab),
            None => Lab::boot(Setup {
                stacks: vec![pair.alpha, pair.beta],
                hardware: (scenario.hardware)(),
                clock: Clock::Wall,
                folder: group.folder.join(format!("boot-{boot}")),
                build: plan.build.clone(),
                soak: plan.extent == Extent::Soak,
            }),
        };
        let (result, used) = match booted {
            Ok(lab) => (run_one(&lab, scenario), Some(lab)),
            Err(error) => (Err(error), None),
        };
        let seconds = start.elapsed().as_secs();
        match judge(scenario, pair, &result) {
            Ok(verdict) => {
                tally.passed += 1;
                line(
                    "ok",
                    scenario,
                    pair,
                    &format!("{seconds} s{}", verdict.remark()),
                );
                if let (true, Some(lab)) = (pair.is_oracle() && plan.renew_oracle, &used) {
                    store_oracle(plan, scenario, lab, &verdict)?;
                }
            }
            Err(complaint) => {
                tally.failed += 1;
                report_failure(scenario, pair, seconds, &complaint, used.as_ref());
            }
        }
        if result.is_ok() {
            lab = used;
        }
    }
    Ok(())
}

fn report_failure(
    scenario: &Scenario,
    pair: Pair,
    seconds: u64,
    complaint: &str,
    lab: Option<&Lab>,
) {
    // One piece, so that another worker's line does not come between.
    let indented: Vec<String> = complaint
        .lines()
        .map(|text| format!("\n     {text}"))
        .collect();
    let indented = indented.concat();
    let place = match lab {
        Some(lab) => {
            keep_evidence(lab, scenario, complaint);
            format!("\n     see {}", lab.setup().folder.display())
        }
        None => String::new(),
    };
    line(
        "FAIL",
        scenario,
        pair,
        &format!("{seconds} s{indented}{place}"),
    );
}

/// How a scenario that counts as passed got there.
enum Verdict {
    Passed,
    DefectShown(&'static str),
}

impl Verdict {
    fn remark(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::DefectShown(sheet) => format!(", C fails as known: {sheet}"),
        }
    }
}

fn judge(
    scenario: &Scenario,
    pair: Pair,
    result: &Result<()>,
) -> std::result::Result<Verdict, String> {
    let defect = match scenario.c {
        Oracle::KnownDefect { sheet, shows } if pair.is_oracle() => Some((sheet, shows)),
        _ => None,
    };
    match (result, defect) {
        (Ok(()), None) => Ok(Verdict::Passed),
        (Ok(()), Some((sheet, _))) => Err(format!("passed, but C has a known defect: {sheet}")),
        (Err(error), None) => Err(error.to_string()),
        (Err(error), Some((sheet, shows))) => {
            let text = error.to_string();
            if text.contains(shows) {
                Ok(Verdict::DefectShown(sheet))
            } else {
                Err(format!(
                    "C should have failed with `{shows}` ({sheet}), but:\n{text}"
                ))
            }
        }
    }
}

/// Prepares, runs, and cleans up; a kernel log with a bug in it fails the scenario.
fn run_one(lab: &Lab, scenario: &Scenario) -> Result<()> {
    prepare(lab, scenario)?;
    let ran = catch_unwind(AssertUnwindSafe(|| (scenario.run)(lab))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("(no text)");
        Err(LabError::Mismatch(format!("the scenario panicked: {text}")))
    });
    // A kernel bug explains whatever else went wrong.
    for node in lab.nodes() {
        if node.has_power() {
            node.is_well()?;
        }
    }
    ran?;
    clean_up(lab, scenario)
}

fn prepare(lab: &Lab, scenario: &Scenario) -> Result<()> {
    for node in lab.nodes() {
        node.begin_log(scenario.name, scenario.allowed)?;
        node.plug_the_cable()?;
        for index in 0..lab.setup().hardware.disks_mib.len() {
            node.sh(&format!("blkdiscard -f -z /dev/data{index}"))?;
        }
        if scenario.loaded {
            load_module(node)?;
        }
    }
    Ok(())
}

/// Takes everything down. That it comes down is a part of every scenario.
fn clean_up(lab: &Lab, scenario: &Scenario) -> Result<()> {
    for node in lab.nodes() {
        node.sh("swapoff -a; ! mountpoint -q /mnt || umount /mnt; udevadm settle")?;
        if scenario.loaded {
            node.sh("[ ! -e /etc/drbd.conf ] || drbdadm down all")?;
        }
    }
    for node in lab.nodes() {
        if scenario.loaded {
            node.sh("udevadm settle; rmmod drbd")?;
        }
        node.complete_log()?;
        node.is_well()?;
        let leaks = node.sh(LEAKS)?;
        if leaks.contains("drbd") {
            return Err(LabError::Mismatch(format!(
                "{}: memory that nobody can find any more:\n{leaks}",
                node.name()
            )));
        }
    }
    Ok(())
}

/// What a kernel with kmemleak finds. It looks twice, since what it finds at first may just have
/// been on the move. The stock kernel finds nothing.
const LEAKS: &str = "k=/sys/kernel/debug/kmemleak; test ! -e $k || \
    { echo scan >$k; echo scan >$k; cat $k; }";

/// Leaves what a reader of a failure wants beside the console logs: the nodes' last states.
fn keep_evidence(lab: &Lab, scenario: &Scenario, complaint: &str) {
    let folder = &lab.setup().folder;
    let _ = fs::write(folder.join(format!("{}.failure", scenario.name)), complaint);
    for node in lab.nodes() {
        keep_state(node, scenario);
    }
}

fn keep_state(node: &Node, scenario: &Scenario) {
    let path = |what: &str| {
        node.place()
            .folder
            .join(format!("{}.{what}", scenario.name))
    };
    if let Ok(log) = node.log() {
        let _ = fs::write(path("kernel.log"), log);
    }
    if !node.has_power() {
        return;
    }
    let state = "cat /proc/drbd; timeout 10 drbdsetup events2 --now; \
                 cat /etc/drbd.conf; ps axo pid,stat,wchan:32,args; mount; lsmod";
    // The machine may be past answering: then the console has to do.
    if let Ok(output) = node
        .start_sh(state)
        .and_then(|job| job.wait(crate::time::seconds(20)))
    {
        let _ = fs::write(path("state"), output.text());
    }
}

fn store_oracle(plan: &Plan, scenario: &Scenario, lab: &Lab, verdict: &Verdict) -> Result<()> {
    let Some(node) = lab.nodes().iter().find(|node| node.has_power()) else {
        return Ok(());
    };
    let driver = node.sh("modinfo -F srcversion drbd")?;
    let tools = node.sh("dpkg-query -W -f '${Version}' drbd-utils")?;
    let record = Record {
        scenario: scenario.name.to_owned(),
        hash: scenario.hash(),
        kernel: lab.kernel().to_owned(),
        driver: driver.trim().to_owned(),
        tools: tools.trim().to_owned(),
        result: match verdict {
            Verdict::Passed => "pass".to_owned(),
            Verdict::DefectShown(sheet) => format!("known defect: {sheet}"),
        },
    };
    oracle::store(&plan.checkout, scenario, &record)
}

/// The scenarios that the filters select.
#[must_use]
pub fn select(scenarios: Vec<Scenario>, filters: &[String]) -> Vec<Scenario> {
    scenarios
        .into_iter()
        .filter(|scenario| selected(scenario.name, filters))
        .collect()
}

/// Whether `name` is selected by the filters: any part of the name, or all if there are none.
#[must_use]
pub fn selected(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::PLAIN;

    #[test]
    fn a_known_defect_has_to_show_itself_on_c_and_only_there() {
        let scenario = Scenario {
            c: Oracle::KnownDefect {
                sheet: "sheet, 1",
                shows: "hangs",
            },
            ..PLAIN
        };
        let fails = |text: &str| Err(LabError::Mismatch(text.into()));
        let ours: Pair = "ours:c".parse().unwrap();
        assert!(judge(&scenario, Pair::C, &fails("it hangs")).is_ok());
        assert!(judge(&scenario, Pair::C, &fails("something else")).is_err());
        assert!(judge(&scenario, Pair::C, &Ok(())).is_err());
        assert!(judge(&scenario, ours, &Ok(())).is_ok());
        assert!(judge(&scenario, ours, &fails("it hangs")).is_err());
    }

    #[test]
    fn filters_select_by_part_of_the_name() {
        assert!(selected("tutorial-C", &[]));
        assert!(selected("tutorial-C", &["rial".into()]));
        assert!(!selected("tutorial-C", &["refusal".into()]));
    }
}
