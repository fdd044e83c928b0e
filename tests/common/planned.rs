//! Plans for a device with other traits than the tests' own, to run kernels that it would not be given.

use leyden::ops::DeviceTraits;
use std::cell::Cell;

thread_local! {
    static CHANGE: Cell<Option<fn(DeviceTraits) -> DeviceTraits>> = const { Cell::new(None) };
}

/// Runs `test`, whose kernels are chosen as for a device of the traits that `change` makes of the tests' device's.
pub fn planned_as(change: fn(DeviceTraits) -> DeviceTraits, test: impl FnOnce()) {
    CHANGE.set(Some(change));
    test();
    CHANGE.set(None);
}

/// Runs `test` with the kernels for GPUs and with those for software drivers, both on the tests' device.
pub fn for_both_kinds(test: impl Fn()) {
    planned_as(|traits| DeviceTraits { software: false, ..traits }, &test);
    planned_as(|traits| DeviceTraits { software: true, ..traits }, &test);
}

/// The traits to plan for on a device of these.
pub fn traits(device: DeviceTraits) -> DeviceTraits {
    CHANGE.get().map_or(device, |change| change(device))
}
