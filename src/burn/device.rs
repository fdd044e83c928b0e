//! burn's device on an adapter that leyden has chosen.

use super::BurnError;
use crate::gpu::{Adapter, AdapterKind, adapters};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, DeviceKind};
use std::sync::{Mutex, PoisonError};

/// burn sets up a device once a process.
static DEVICES: Mutex<Vec<(DeviceKind, WgpuBackend, Device)>> = Mutex::new(Vec::new());

/// burn's device on `adapter`, through the same graphics API.
///
/// # Errors
/// [`BurnError::Device`] where burn does not offer the adapter, has another in its place, or fails to set it up.
pub fn device(adapter: &Adapter) -> Result<Device, BurnError> {
    let info = adapter.info();
    let refused = |reason: String| BurnError::Device { adapter: info.to_string(), reason };
    let api = match info.backend {
        "Vulkan" => WgpuBackend::Vulkan,
        "Metal" => WgpuBackend::Metal,
        "DX12" => WgpuBackend::Dx12,
        other => return Err(refused(format!("it has no devices of {other}"))),
    };
    // burn counts an API's adapters of a kind in the order that wgpu lists them in, which is ours.
    let same = |other: &Adapter| (other.info().backend, other.info().kind) == (info.backend, info.kind);
    let place = adapters().iter().filter(|a| same(a)).position(|a| a.info() == info);
    let index = place.ok_or_else(|| refused("it is not there any more".into()))?;
    let kind = match info.kind {
        AdapterKind::Discrete => DeviceKind::DiscreteGpu(index),
        AdapterKind::Integrated => DeviceKind::IntegratedGpu(index),
        AdapterKind::Virtual => DeviceKind::VirtualGpu(index),
        AdapterKind::Software if index == 0 => DeviceKind::Cpu,
        AdapterKind::Software => return Err(refused("it takes only the first software driver".into())),
        AdapterKind::Other => return Err(refused("it cannot name a GPU of an unknown kind".into())),
    };
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, device)) = devices.iter().find(|(k, a, _)| *k == kind && *a == api) {
        return Ok(device.clone());
    }
    let options = Device::wgpu_options().device_kind(kind.clone()).graphics_api(api);
    let (device, setup) = options.init_with_setup().map_err(|error| refused(error.to_string()))?;
    let found = setup.adapter.get_info().name;
    if found != info.name {
        return Err(refused(format!("it has {found} in that place")));
    }
    devices.push((kind, api, device.clone()));
    Ok(device)
}
