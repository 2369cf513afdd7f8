// SPDX-License-Identifier: GPL-2.0
//! A lab: one or two machines with a cable between them, booted once for many scenarios.

use std::fs;
use std::path::{Path, PathBuf};

use crate::blocks::DiskServer;
use crate::error::{Context, LabError, Result};
use crate::image::Image;
use crate::machine::{served_socket, Clock, Hardware, Machine, Place};
use crate::node::Node;
use crate::paths::SocketFolder;
use crate::stack::{assert_module, uninstall, Build, Implementation, Stack, MODULE};

/// The nodes' names and addresses.
const NODES: [(&str, &str); 2] = [("alpha", "10.0.0.1/24"), ("beta", "10.0.0.2/24")];

/// How often a machine is switched on before it counts as broken.
const BOOTS: u32 = 3;

/// How a lab is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What runs on each node; as many nodes as stacks.
    pub stacks: Vec<Stack>,
    /// What the machines are made of.
    pub hardware: Hardware,
    /// What their time is.
    pub clock: Clock,
    /// Where consoles and disks go; made if missing.
    pub folder: PathBuf,
    /// Our module and tools.
    pub build: Build,
    /// Whether scenarios run their long form (see [`Lab::rounds`]).
    pub soak: bool,
}

/// Machines that run. Dropping it pulls all plugs.
pub struct Lab {
    setup: Setup,
    image: Image,
    initramfs: PathBuf,
    nodes: Vec<Node>,
    sockets: SocketFolder,
    disks: DiskServer,
}

impl Lab {
    /// Boots the machines and installs their stacks. Call it from a thread that lives as long as
    /// the lab (see [`Machine::start`]).
    ///
    /// # Errors
    /// When an image, the agent or a stack's file is missing, or a machine does not come up.
    pub fn boot(setup: Setup) -> Result<Self> {
        let image = Image::get()?;
        fs::create_dir_all(&setup.folder).at("make", &setup.folder)?;
        let initramfs = setup.folder.join("initramfs.img");
        let content = image.initramfs(&agent()?)?;
        fs::write(&initramfs, content).at("write", &initramfs)?;
        let two = setup.stacks.len() > 1;
        let mut nodes = Vec::new();
        for (index, (&(name, address), &stack)) in NODES.iter().zip(&setup.stacks).enumerate() {
            let folder = setup.folder.join(name);
            fs::create_dir_all(&folder).at("make", &folder)?;
            let peer = NODES.get(1 - index).filter(|_| two);
            let place = Place {
                name: name.to_owned(),
                address: address.to_owned(),
                peer: peer.map(|&(peer, _)| peer.to_owned()),
                folder,
            };
            nodes.push(Node::new(place, stack));
        }
        let sockets = SocketFolder::new()?;
        let disks = DiskServer::default();
        if let (true, Some(mib)) = (setup.hardware.served, setup.hardware.disks_mib.first()) {
            for node in &nodes {
                let socket = served_socket(&sockets, node.name());
                disks.serve(&socket, u64::from(*mib) << 20)?;
            }
        }
        let lab = Self {
            setup,
            image,
            initramfs,
            nodes,
            sockets,
            disks,
        };
        // All are started before any is waited for.
        let mut machines = Vec::new();
        for node in &lab.nodes {
            machines.push(lab.start(node)?);
        }
        for (node, machine) in lab.nodes.iter().zip(machines) {
            lab.welcome(node, machine)?;
        }
        Ok(lab)
    }

    fn start(&self, node: &Node) -> Result<Machine> {
        let hardware = &self.setup.hardware;
        Machine::start(
            node.place(),
            hardware,
            self.setup.clock,
            &self.image,
            &self.initramfs,
            &self.sockets,
        )
    }

    /// Waits for the boot and installs the node's stack.
    ///
    /// An emulated machine on a busy host may get stuck while the kernel measures its clocks,
    /// long before anything of a scenario runs, or trip over code that it patches at that moment
    /// (`int3`): it is switched off and on again then.
    fn welcome(&self, node: &Node, machine: Machine) -> Result<()> {
        let console_from = machine.console_from();
        let mut result = node.attach(machine);
        for again in 1..BOOTS {
            let Err(error) = result else { break };
            eprintln!("drbd-lab: boot {again} of {}: {error}", node.name());
            node.pull_the_plug();
            node.set_boot_aside(console_from)?;
            result = node.attach(self.start(node)?);
        }
        result?;
        if self.nodes.len() > 1 {
            let hosts: Vec<String> = NODES
                .iter()
                .map(|(name, address)| {
                    let address = address.split('/').next().unwrap_or_default();
                    format!("{address} {name}\n")
                })
                .collect();
            node.put(
                "/etc/hosts",
                format!("127.0.0.1 localhost\n{}", hosts.concat()).as_bytes(),
            )?;
        }
        node.stack().install(node, &self.setup.build)
    }

    /// Switches a node on again after [`Node::pull_the_plug`], and waits until it is up. Its
    /// disks are as they were; everything else is as after the first boot.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn power_on(&self, node: &Node) -> Result<()> {
        let machine = self.start(node)?;
        self.welcome(node, machine)
    }

    /// Puts another stack on a node that has no module loaded. It stays, also over
    /// [`Lab::power_on`], until the next call.
    ///
    /// # Errors
    /// When a module is loaded, or the node refuses a step.
    pub fn change_stack(&self, node: &Node, stack: Stack) -> Result<()> {
        uninstall(node)?;
        node.set_stack(stack);
        stack.install(node, &self.setup.build)
    }

    /// Both nodes: alpha and beta.
    ///
    /// # Panics
    /// In a lab with one node.
    #[must_use]
    pub fn pair(&self) -> (&Node, &Node) {
        match self.nodes.as_slice() {
            [alpha, beta] => (alpha, beta),
            _ => panic!("this lab has no two nodes"),
        }
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The server of `/dev/data0`, if the hardware says so.
    #[must_use]
    pub fn disks(&self) -> &DiskServer {
        &self.disks
    }

    /// The kernel that runs.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.image.version
    }

    /// How often a scenario does what it repeats: `soak` times in a soak, otherwise `test` times.
    #[must_use]
    pub fn rounds(&self, test: u32, soak: u32) -> u32 {
        if self.setup.soak {
            soak
        } else {
            test
        }
    }

    /// How the lab was set up.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }
}

impl Drop for Lab {
    /// Removes what is large; logs and lists of commands stay. `DRBD_LAB_KEEP` set keeps all.
    fn drop(&mut self) {
        for node in &self.nodes {
            node.pull_the_plug();
        }
        if std::env::var_os("DRBD_LAB_KEEP").is_some() {
            return;
        }
        // What can't be removed only takes room.
        let _ = fs::remove_file(&self.initramfs);
        for node in &self.nodes {
            for index in 0..self.setup.hardware.disks_mib.len() {
                let _ = fs::remove_file(node.place().disk(index));
            }
        }
    }
}

/// Loads the module of the node's stack and makes sure that it is the one.
///
/// # Errors
/// When it does not load, or another one is loaded.
pub fn load_module(node: &Node) -> Result<()> {
    match node.stack().module {
        // A tool that asked for the netlink family may have had it loaded.
        Implementation::Ours => node.sh(&format!("test -e /sys/module/drbd || insmod {MODULE}"))?,
        Implementation::C => node.sh("modprobe drbd")?,
    };
    assert_module(node)
}

/// The agent beside the running program.
fn agent() -> Result<PathBuf> {
    let program = std::env::current_exe().context("own path")?;
    let agent = program
        .parent()
        .unwrap_or(Path::new("."))
        .join("drbd-lab-agent");
    if agent.exists() {
        Ok(agent)
    } else {
        Err(LabError::Setup(format!(
            "{} is missing: build both programs with `cargo build -p drbd-lab`",
            agent.display()
        )))
    }
}
