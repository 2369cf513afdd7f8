// SPDX-License-Identifier: GPL-2.0
//! What scripts ask: the `sh-` commands that only print.

use super::cli::Request;
use super::exec::{print, Output, Runner};
use super::load::Loaded;
use super::plan::on_minor;
use super::run;
use super::select::Target;
use super::version;
use drbd_conf::bind::Node as _;
use drbd_conf::text::{quote, shell_escape};
use drbd_conf::tree::{HostKind, MetaIndex, Resource, Volume};

/// `sh-resources`: names of this node's resources on one line.
pub fn resources(loaded: &Loaded, request: &Request) -> u8 {
    let here = loaded
        .parsed
        .config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored());
    let wanted = here.filter(|resource| resource.binding.stacked == request.options.stacked);
    let names: Vec<String> = wanted.map(|resource| quote(&resource.name.value)).collect();
    if !names.is_empty() {
        print(&format!("{}\n", names.join(" ")));
    }
    0
}

/// `sh-mod-parms`: how many minors the module should have in mind.
pub fn module_parameters(loaded: &Loaded) -> u8 {
    let config = &loaded.parsed.config;
    let counted = || {
        let hosts = config.resources.iter().filter_map(Resource::me);
        let minors: usize = hosts.map(|host| host.volumes.len()).sum();
        u32::try_from(minors + 3).unwrap_or(u32::MAX).clamp(32, 255)
    };
    let set = config.globals().minor_count.filter(|count| *count != 0);
    print(&format!("minor_count={}\n", set.unwrap_or_else(counted)));
    0
}

/// The commands that print one line for a volume; `None` if it is no such command.
#[must_use]
pub fn of_volume(command: &str, resource: &Resource, volume: &Volume) -> Option<String> {
    Some(match command {
        "sh-dev" => volume.device_name(),
        "sh-minor" => volume.minor_number().to_string(),
        "sh-ll-dev" => volume.backing().to_owned(),
        "sh-md-dev" => volume.meta_device().to_owned(),
        "sh-md-idx" => match &volume.meta_index {
            Some(MetaIndex::Internal) | None => "internal".to_owned(),
            Some(MetaIndex::Flexible) => "flexible".to_owned(),
            Some(MetaIndex::Slot(at)) => at.clone(),
        },
        "sh-ip" => {
            let address = resource.me().and_then(|me| me.address.as_ref());
            address.map_or_else(String::new, |address| address.address.clone())
        }
        "sh-lr-of" => match resource.me().map(|me| &me.kind) {
            Some(HostKind::StackedOnTopOf(lower)) => lower.value.clone(),
            _ => return None,
        },
        _ => return None,
    })
}

/// `sh-udev`: what a rule needs to make links.
pub fn udev(resource: &Resource, volume: &Volume, always_volume: bool) -> u8 {
    let name = &resource.name.value;
    match volume.implicit && !always_volume {
        true => print(&format!("RESOURCE={name}\n")),
        false => print(&format!("RESOURCE={name}/{}\n", volume.vnr)),
    }
    let device = volume.device_name();
    print(&format!(
        "DEVICE={}\n",
        device.strip_prefix("/dev/").unwrap_or(&device)
    ));
    let disk = volume.backing();
    print(&format!(
        "DISK={}\n",
        disk.strip_prefix("/dev/").unwrap_or(disk)
    ));
    0
}

/// `sh-b-pri`: promotes this node where the configuration says so.
pub fn become_primary(
    runner: &mut Runner<'_>,
    loaded: &Loaded,
    target: &Target<'_>,
    passed: &[String],
) -> u8 {
    let node = loaded.machine.name();
    let wanted = target.resource.become_primary_on.iter();
    if !wanted
        .map(|name| name.value.as_str())
        .any(|name| name == "both" || name == node)
    {
        return 0;
    }
    for volume in target.volumes() {
        let mut step = on_minor("primary", target.resource, volume);
        step.args.extend_from_slice(passed);
        let code = run::action(runner, &super::plan::Action::Retry(step));
        if code != 0 {
            return code;
        }
    }
    0
}

/// `sh-status`: shell variables about every resource, meant for `eval`.
pub fn status(runner: &mut Runner<'_>, loaded: &Loaded) -> u8 {
    let config = &loaded.parsed.config;
    let mut head = format!(
        "_drbd_version={}\n_drbd_api=1\n",
        shell_escape(version::TOOLS)
    );
    head.push_str(&format!(
        "_config_file={}\n\n\n",
        shell_escape(&config.main_file)
    ));
    if runner.dry_run == 0 {
        print(&head);
    }
    for resource in config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored())
    {
        let code = resource_status(runner, loaded, resource);
        if code != 0 {
            eprintln!("command sh-status exited with code {code}");
            return code;
        }
    }
    0
}

fn resource_status(runner: &mut Runner<'_>, loaded: &Loaded, resource: &Resource) -> u8 {
    let Some(me) = resource.me() else { return 0 };
    let place = loaded.parsed.sources.absolute_place(resource.keyword.span);
    print(&format!(
        "_conf_res_name={}\n",
        shell_escape(&resource.name.value)
    ));
    print(&format!("_conf_file_line={}\n\n", shell_escape(&place)));
    let lower = match &me.kind {
        HostKind::StackedOnTopOf(lower) => Some(&lower.value),
        _ => None,
    };
    match lower {
        Some(lower) => print(&format!("_stacked_on={}\n", shell_escape(lower))),
        None => print("_stacked_on=\n_stacked_on_device=\n_stacked_on_minor=\n"),
    }
    let below = lower.and_then(|lower| loaded.parsed.config.resource(lower)?.me());
    for volume in &me.volumes {
        if let Some(under) = below.and_then(|host| host.volume(volume.vnr)) {
            print(&format!(
                "_stacked_on_device={}\n",
                shell_escape(&under.device_name())
            ));
            print(&format!("_stacked_on_minor={}\n", under.minor_number()));
        }
        print(&format!("_conf_volume={}\n", volume.vnr));
        let code = runner
            .run(&on_minor("sh-status", resource, volume), Output::Through)
            .code;
        if code != 0 {
            return code;
        }
    }
    0
}
