// SPDX-License-Identifier: GPL-2.0

//! What is configured: all resources by name, all devices by minor.
//!
//! A resource that is listed keeps the module loaded. The list's own mutex is held for the moment
//! of a look only; whoever makes or removes something holds [`Registry::creation`] over it, so that
//! two requests cannot make the same thing. Lock order: a resource's admin, creation, list.

use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex, MutexGuard};

use crate::device::Device;
use crate::recorder::{Recordings, Shown};
use crate::resource::Resource;
use crate::sys::unload::Pinned;
use crate::vector;

/// Names a resource in the order of creation; never used twice.
pub(crate) type ResourceId = u64;

/// A listed resource.
struct Entry {
    id: ResourceId,
    resource: Arc<Resource>,
    /// Goes with the entry: the name is free for another one then.
    _recorder: Shown,
    _pinned: Pinned,
}

struct Lists {
    /// Ascending by id.
    resources: KVec<Entry>,
    /// Ascending by minor.
    devices: KVec<Arc<Device>>,
    last: ResourceId,
}

/// Everything that is configured.
#[pin_data]
pub(crate) struct Registry {
    recordings: Recordings,
    #[pin]
    lists: Mutex<Lists>,
    #[pin]
    creation: Mutex<()>,
    #[pin]
    review: Mutex<()>,
}

impl Registry {
    /// Nothing is configured.
    pub(crate) fn new() -> impl PinInit<Self> {
        let lists = Lists {
            resources: KVec::new(),
            devices: KVec::new(),
            last: 0,
        };
        pin_init!(Self {
            recordings: Recordings::new(),
            lists <- new_mutex!(lists, "drbd_registry"),
            creation <- new_mutex!((), "drbd_creation"),
            review <- new_mutex!((), "drbd_review"),
        })
    }

    /// Held by who looks whether something is free, until it is taken. May sleep.
    pub(crate) fn creation(&self) -> MutexGuard<'_, ()> {
        self.creation.lock()
    }

    /// Held by who looks at all devices and tells what follows. May sleep.
    pub(crate) fn review(&self) -> MutexGuard<'_, ()> {
        self.review.lock()
    }

    /// The resource of this name. May sleep.
    pub(crate) fn resource(&self, name: &[u8]) -> Option<Arc<Resource>> {
        let lists = self.lists.lock();
        let entry = lists
            .resources
            .iter()
            .find(|e| e.resource.name_bytes() == name)?;
        Some(entry.resource.clone())
    }

    /// Whether the resource was not taken out meanwhile. May sleep.
    pub(crate) fn lists(&self, resource: &Arc<Resource>) -> bool {
        let lists = self.lists.lock();
        let same = |e: &Entry| Arc::ptr_eq(&e.resource, resource);
        lists.resources.iter().any(same)
    }

    /// The first resource for which `wanted` holds. May sleep.
    pub(crate) fn find(&self, wanted: impl Fn(&Resource) -> bool) -> Option<Arc<Resource>> {
        let lists = self.lists.lock();
        let entry = lists.resources.iter().find(|e| wanted(&e.resource))?;
        Some(entry.resource.clone())
    }

    /// Lists a resource. The name is free: the caller holds [`Registry::creation`]. May sleep.
    pub(crate) fn add_resource(&self, resource: Arc<Resource>) -> Result {
        let pinned = Pinned::new()?;
        let recorder = self.recordings.show(resource.name(), &resource.recorder)?;
        let mut lists = self.lists.lock();
        let id = lists.last.wrapping_add(1);
        let entry = Entry {
            id,
            resource,
            _recorder: recorder,
            _pinned: pinned,
        };
        vector::push(&mut lists.resources, entry, GFP_KERNEL)?;
        lists.last = id;
        Ok(())
    }

    /// Takes a resource off the list. May sleep.
    pub(crate) fn remove_resource(&self, resource: &Arc<Resource>) {
        let mut lists = self.lists.lock();
        let at = vector::index_of(&lists.resources, |e| Arc::ptr_eq(&e.resource, resource));
        let gone = at.and_then(|at| lists.resources.remove(at).ok());
        drop(lists);
        drop(gone);
    }

    /// The first resource made after the one named. May sleep.
    pub(crate) fn next_resource(
        &self,
        after: Option<ResourceId>,
    ) -> Option<(ResourceId, Arc<Resource>)> {
        let lists = self.lists.lock();
        let after = after.unwrap_or(0);
        let entry = lists.resources.iter().find(|e| e.id > after)?;
        Some((entry.id, entry.resource.clone()))
    }

    /// The device of this minor. May sleep.
    pub(crate) fn device(&self, minor: u32) -> Option<Arc<Device>> {
        let lists = self.lists.lock();
        lists.devices.iter().find(|d| d.minor == minor).cloned()
    }

    /// The device with the lowest minor that is at least `from`. May sleep.
    pub(crate) fn next_device(&self, from: u32) -> Option<Arc<Device>> {
        let lists = self.lists.lock();
        lists.devices.iter().find(|d| d.minor >= from).cloned()
    }

    /// Lists a device. The minor is free: the caller holds [`Registry::creation`]. May sleep.
    pub(crate) fn add_device(&self, device: Arc<Device>) -> Result {
        let mut lists = self.lists.lock();
        let devices = &mut lists.devices;
        vector::reserve(devices, 1, GFP_KERNEL)?;
        let at = vector::place_of(devices, |d| d.minor < device.minor);
        devices
            .insert_within_capacity(at, device)
            .map_err(|_| ENOMEM)
    }

    /// Takes a device off the list. May sleep.
    pub(crate) fn remove_device(&self, device: &Arc<Device>) {
        let mut lists = self.lists.lock();
        let at = vector::index_of(&lists.devices, |d| Arc::ptr_eq(d, device));
        let gone = at.and_then(|at| lists.devices.remove(at).ok());
        drop(lists);
        drop(gone);
    }
}
