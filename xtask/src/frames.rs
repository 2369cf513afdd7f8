// SPDX-License-Identifier: GPL-2.0
//! Measures how much of the kernel's stack the functions of the built module take.
//!
//! A kernel stack has 16 KiB, and what calls us and what we call takes most of it; the compiler of
//! Rust code says nothing about frames, however large. A function's frame is read off its code:
//! what it pushes first, and the largest number that it takes off the stack pointer. The deepest
//! chain of direct calls within the module is shown, too; docs/testing.md argues from it.

use std::collections::BTreeMap;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};

use crate::panics::demangled;
use crate::Error;

/// No frame may have more bytes.
const LIMIT: u64 = 2048;

/// A function of the module.
struct Function {
    name: String,
    /// Bytes of its frame, with the return address.
    frame: u64,
    /// What it calls directly, within the module.
    calls: Vec<usize>,
}

/// By the index of their symbol.
type Functions = BTreeMap<usize, Function>;

/// Measures `module`, and fails if a frame is too large.
pub(crate) fn run(top: &Path, module: &Path) -> Result<(), Error> {
    let path = top.join(module);
    let bytes = std::fs::read(&path).map_err(|error| Error::File(path.clone(), error))?;
    let functions = functions(&bytes).map_err(|error| Error::Object(path.clone(), error))?;
    let mut faults = 0;
    for function in functions.values().filter(|f| f.frame > LIMIT) {
        println!("{} has a frame of {} bytes", function.name, function.frame);
        faults += 1;
    }
    let (depth, chain) = deepest(&functions);
    println!("the deepest chain of direct calls takes {depth} bytes:");
    for function in chain.iter().filter_map(|index| functions.get(index)) {
        println!("    {:>5}  {}", function.frame, function.name);
    }
    match faults {
        0 => {
            println!(
                "frames: {} functions, {LIMIT} bytes at most",
                functions.len()
            );
            Ok(())
        }
        count => Err(Error::Found(format!("frames: {count} above {LIMIT} bytes"))),
    }
}

fn functions(bytes: &[u8]) -> Result<Functions, object::read::Error> {
    let file = object::File::parse(bytes)?;
    let mut functions = Functions::new();
    let defined = |symbol: &object::Symbol<'_, '_>| {
        symbol.kind() == SymbolKind::Text && symbol.section_index().is_some() && symbol.size() > 0
    };
    for symbol in file.symbols().filter(defined) {
        let Some(index) = symbol.section_index() else {
            continue;
        };
        let section = file.section_by_index(index)?;
        let code = section.data_range(symbol.address(), symbol.size())?;
        let function = Function {
            name: demangled(symbol.name()?),
            frame: frame(code.unwrap_or_default()),
            calls: Vec::new(),
        };
        functions.insert(symbol.index().0, function);
    }
    for section in file.sections() {
        // By address: where each function of this section begins and ends.
        let places: BTreeMap<u64, (u64, usize)> = file
            .symbols()
            .filter(defined)
            .filter(|symbol| symbol.section_index() == Some(section.index()))
            .map(|symbol| {
                let end = symbol.address() + symbol.size();
                (symbol.address(), (end, symbol.index().0))
            })
            .collect();
        let mut calls = Vec::new();
        for (offset, relocation) in section.relocations() {
            if let RelocationTarget::Symbol(called) = relocation.target() {
                calls.push((offset, called.0));
            }
        }
        // A call within the section may need no relocation.
        for (offset, window) in (0..).zip(section.data()?.windows(5)) {
            let [0xe8 | 0xe9, a, b, c, d] = *window else {
                continue;
            };
            let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
            let target = (offset + 5_u64).checked_add_signed(distance);
            if let Some((_, called)) = target.and_then(|target| places.get(&target)) {
                calls.push((offset, *called));
            }
        }
        for (offset, called) in calls {
            let caller = places
                .range(..=offset)
                .next_back()
                .filter(|(_, (end, _))| offset < *end)
                .map(|(_, (_, caller))| caller);
            if let (Some(caller), true) = (caller, functions.contains_key(&called)) {
                if let Some(function) = functions.get_mut(caller) {
                    function.calls.push(called);
                }
            }
        }
    }
    Ok(functions)
}

/// The frame of a function with this code, in bytes.
fn frame(code: &[u8]) -> u64 {
    let mut rest = code;
    let mut bytes = 8;
    loop {
        rest = match rest {
            // endbr64; a call of the tracer, or what holds its place.
            [0xf3, 0x0f, 0x1e, 0xfa, rest @ ..]
            | [0xe8, _, _, _, _, rest @ ..]
            | [0x0f, 0x1f, 0x44, 0x00, 0x00, rest @ ..]
            // mov %rsp,%rbp
            | [0x48, 0x89, 0xe5, rest @ ..] => rest,
            [0x50..=0x57, rest @ ..] | [0x41, 0x50..=0x57, rest @ ..] => {
                bytes += 8;
                rest
            }
            _ => break,
        };
    }
    // sub $…,%rsp, wherever it stands: some paths through a function need no frame.
    let taken = code.windows(7).filter_map(|window| match *window {
        [0x48, 0x81, 0xec, a, b, c, d] => Some(u64::from(u32::from_le_bytes([a, b, c, d]))),
        [0x48, 0x83, 0xec, a @ 0..=0x7f, ..] => Some(u64::from(a)),
        _ => None,
    });
    // A stack has no more; a larger number is part of something else.
    bytes + taken.filter(|&taken| taken < 1 << 16).max().unwrap_or(0)
}

/// The chain of calls that takes most, and how much. Where calls go in a circle, one round counts.
fn deepest(functions: &Functions) -> (u64, Vec<usize>) {
    let mut known = BTreeMap::new();
    let mut best = (0, Vec::new());
    for &index in functions.keys() {
        let depth = depth_of(functions, index, &mut known);
        if depth > best.0 {
            best = (depth, Vec::new());
            let mut at = Some(index);
            while let Some(index) = at {
                if best.1.contains(&index) {
                    break;
                }
                best.1.push(index);
                at = known.get(&index).and_then(|&(_, next)| next);
            }
        }
    }
    best
}

type Known = BTreeMap<usize, (u64, Option<usize>)>;

fn depth_of(functions: &Functions, index: usize, known: &mut Known) -> u64 {
    if let Some(&(depth, _)) = known.get(&index) {
        return depth;
    }
    let Some(function) = functions.get(&index) else {
        return 0;
    };
    // Stands for what is being looked at: a circle ends here.
    known.insert(index, (0, None));
    let below = function
        .calls
        .iter()
        .map(|&called| (depth_of(functions, called, known), called))
        .max();
    let (below, next) = below.map_or((0, None), |(below, next)| (below, Some(next)));
    let depth = function.frame + below;
    known.insert(index, (depth, next));
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_is_pushed_and_taken() {
        // push %rbp; push %r15; sub $0x808,%rsp
        let code = [0x55, 0x41, 0x57, 0x48, 0x81, 0xec, 0x08, 0x08, 0, 0, 0xc3];
        assert_eq!(frame(&code), 8 + 16 + 0x808);
        // endbr64; sub $0x18,%rsp; …
        let code = [
            0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x18, 0xc3, 0xcc, 0xcc,
        ];
        assert_eq!(frame(&code), 8 + 0x18);
        assert_eq!(frame(&[0xc3]), 8);
    }

    #[test]
    fn the_deepest_chain_passes_the_largest_frames() {
        let function = |frame, calls: &[usize]| Function {
            name: String::new(),
            frame,
            calls: calls.to_vec(),
        };
        let functions = Functions::from([
            (1, function(10, &[2, 3])),
            (2, function(100, &[])),
            // Calls itself by way of 4.
            (3, function(20, &[4])),
            (4, function(200, &[3])),
        ]);
        let (depth, chain) = deepest(&functions);
        assert_eq!(depth, 230);
        assert_eq!(chain, [1, 3, 4]);
    }
}
