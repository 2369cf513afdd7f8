// SPDX-License-Identifier: GPL-2.0
//! `status --json`: the states of the named resources in one document.

use super::cli::Request;
use super::exec::{print, Output, Runner};
use super::load::Loaded;
use super::plan::{Limit, Step, Tool};
use super::select;
use serde_json::Value;

/// Asks drbdsetup for everything that runs and keeps what was named.
pub fn json(runner: &mut Runner<'_>, loaded: &Loaded, request: &Request) -> u8 {
    let mut names = Vec::new();
    if request.names.first().is_some_and(|name| name != "all") {
        for word in &request.names {
            let Some(target) = select::find(&loaded.parsed.config, word) else {
                return super::not_found(&loaded.parsed.config, word);
            };
            names.push(target.resource.name.value.clone());
        }
    }
    let step = Step {
        tool: Tool::Setup,
        args: ["status"]
            .map(str::to_owned)
            .into_iter()
            .chain(request.passed.clone())
            .collect(),
        shown_only: Vec::new(),
        limit: Limit::Short,
        quiet: false,
        resource: String::new(),
        name: "status",
        register: None,
        env: Vec::new(),
    };
    let shown = runner.run(&step, Output::Answer);
    if shown.code != 0 || runner.dry_run > 0 {
        return shown.code;
    }
    match kept(&shown.caught, &names) {
        Ok(text) => {
            print(&text);
            0
        }
        Err(error) => {
            eprintln!("drbdadm: drbdsetup status --json said no JSON: {error}");
            20
        }
    }
}

/// The document with only the named resources; all if none is named.
fn kept(document: &[u8], names: &[String]) -> Result<String, serde_json::Error> {
    let mut all: Vec<Value> = serde_json::from_slice(document)?;
    let is_named = |value: &Value| {
        let name = value.get("name").and_then(Value::as_str);
        name.is_some_and(|name| names.iter().any(|wanted| wanted == name))
    };
    all.retain(|value| names.is_empty() || is_named(value));
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn only_the_named_are_kept() {
        let document = br#"[{"name":"r0","role":"Primary"},{"name":"r1"}]"#;
        let text = kept(document, &["r1".to_owned()]).unwrap_or_default();
        assert!(text.contains("r1") && !text.contains("r0"));
        let all = kept(document, &[]).unwrap_or_default();
        assert!(all.contains("r0") && all.contains("r1"));
        assert!(kept(b"no", &[]).is_err());
    }
}
