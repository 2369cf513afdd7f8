// SPDX-License-Identifier: GPL-2.0
//! Carries actions out and makes one exit code of what came of them.

use super::exec::{print, Output, Runner};
use super::plan::staged::{Queue, Stage};
use super::plan::{Action, Step};
use std::io::Write as _;

/// Carries out one action. The result is its exit code.
pub fn action(runner: &mut Runner<'_>, action: &Action) -> u8 {
    match action {
        Action::Run(steps) => steps
            .iter()
            .map(|step| runner.run(step, Output::Through).code)
            .find(|code| *code != 0)
            .unwrap_or(0),
        Action::KernelThenMeta { kernel, meta } => kernel_then_meta(runner, kernel, meta),
        Action::Outdate { kernel, meta } => outdate(runner, kernel, meta),
        Action::Resize { resize, check } => {
            let code = runner.run(resize, Output::Through).code;
            if code == 0 {
                // The resize itself counts; a note about the device's new size may fail.
                runner.run(check, Output::Through);
            }
            code
        }
        Action::CheckResize {
            resize,
            check,
            meta,
        } => {
            if runner.run(resize, Output::Through).code == 0 {
                runner.run(check, Output::Through);
                return 0;
            }
            runner.run(meta, Output::Through).code
        }
        Action::CreateMd {
            read,
            create,
            write,
        } => create_md(runner, read, create, write),
        Action::Retry(step) => retry(runner, step),
        Action::Fail { code, text, step } => {
            if runner.dry_run > 0 {
                runner.announce(step);
                return 0;
            }
            eprintln!("drbdadm: {text}");
            *code
        }
        Action::Print(text) => {
            print(&format!("{text}\n"));
            0
        }
    }
}

/// The kernel's answer counts if it is one; else what the metadata say.
fn kernel_then_meta(runner: &mut Runner<'_>, kernel: &Step, meta: &Step) -> u8 {
    let first = runner.run(kernel, Output::Stderr);
    match first.code {
        0 if runner.dry_run == 0 => pass_on(&first.caught, 0),
        11 | 17 => pass_on(&first.caught, first.code),
        _ if runner.expired => first.code,
        _ => runner.run(meta, Output::Through).code,
    }
}

/// Writes what was caught to stderr.
fn pass_on(caught: &[u8], code: u8) -> u8 {
    // With stderr gone there is nobody to tell.
    let _ = std::io::stderr().write_all(caught);
    code
}

fn outdate(runner: &mut Runner<'_>, kernel: &Step, meta: &Step) -> u8 {
    let first = runner.run(kernel, Output::Through).code;
    match first {
        0 if runner.dry_run == 0 => 0,
        17 => 17,
        5 => match runner.run(meta, Output::Through).code {
            0 => 0,
            _ => 5,
        },
        _ => runner.run(meta, Output::Through).code,
    }
}

/// Creates metadata. A device's UUID outlives that; a device without one gets one.
fn create_md(runner: &mut Runner<'_>, read: &Step, create: &Step, write: &Step) -> u8 {
    if runner.dry_run > 0 {
        return runner.run(create, Output::Through).code;
    }
    let old = runner.run_unannounced(read, Output::Stdout);
    let old = u64::from_str_radix(String::from_utf8_lossy(&old.caught).trim(), 16).unwrap_or(0);
    let code = runner.run(create, Output::Through).code;
    if code != 0 {
        return code;
    }
    let uuid = if old != 0 { old } else { random() };
    let mut write = write.clone();
    write.args.push(format!("{uuid:016X}"));
    runner.run_unannounced(&write, Output::Through);
    code
}

/// A random number that is not 0.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    // Each `RandomState` is keyed from the system's randomness.
    RandomState::new().build_hasher().finish() | 1
}

fn retry(runner: &mut Runner<'_>, step: &Step) -> u8 {
    for left in (0..5).rev() {
        let code = runner.run(step, Output::Through).code;
        if code == 0 || left == 0 || runner.dry_run > 0 || runner.expired {
            return code;
        }
        // The peer may be on its way down from Primary.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    0
}

/// What to show while a queue runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing but errors.
    Quiet,
    /// The stages and their resources; failures don't stop the later stages.
    Stages,
}

/// Runs a queue stage by stage. The result is 0 or 1.
pub fn queue(runner: &mut Runner<'_>, queue: &Queue, progress: Progress) -> u8 {
    let mut failed = false;
    let stages = progress == Progress::Stages;
    if stages {
        print("[");
        runner.silent = true;
    }
    for stage in Stage::ALL {
        failed |= run_stage(runner, queue, stage, stages);
        if runner.expired {
            return 20;
        }
        if failed && !stages {
            return 1;
        }
    }
    if stages {
        print("\n]\n");
        runner.silent = false;
    }
    u8::from(failed)
}

fn run_stage(runner: &mut Runner<'_>, queue: &Queue, stage: Stage, show: bool) -> bool {
    let mut broken: Vec<&str> = Vec::new();
    let mut failed = false;
    let mut shown = None;
    for item in queue.stage(stage) {
        if show && shown.is_none() {
            print(&format!("\n{:>15}:", stage.title()));
        }
        if stage.is_ground() && broken.contains(&item.resource.as_str()) {
            match show {
                true => print(&format!(" [skipped:{}]", item.resource)),
                false => eprintln!(
                    "drbdadm: {} {}: skipped because of the error before",
                    item.name, item.resource
                ),
            }
            continue;
        }
        if show && shown != Some(item.resource.as_str()) {
            print(&format!(" {}", item.resource));
        }
        shown = Some(item.resource.as_str());
        let code = action(runner, &item.action);
        if code != 0 {
            failed = true;
            broken.push(item.resource.as_str());
            if show {
                print(&format!(":failed({}:{code})", item.name));
            }
        }
        if runner.expired {
            return true;
        }
    }
    failed
}
