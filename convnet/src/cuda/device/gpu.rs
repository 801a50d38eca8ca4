//! The state that the operations keep per device: kernels, cuDNN handle, workspace.
#![expect(unsafe_code, reason = "kernel launches and the driver's memory pool")]

use super::arg::Arg;
use super::support::{self, gpus};
use super::timer::{Cost, Timer};
use crate::cuda::cudnn::Convolutions;
use candle_core::cuda::cudarc::driver::{self, CudaFunction, CudaModule, CudaStream, LaunchConfig, PushKernelArg, sys};
use candle_core::cuda::{CudaDevice, DeviceId, WrapErr, kernels};
use candle_core::{Device, Result, bail};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// Settings of a device.
///
/// ```
/// # use candle_convnet::cuda::CudaConfig;
/// let config = CudaConfig::default().with_tf32(true);
/// assert!(config.tf32 && !config.deterministic);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CudaConfig {
    /// Whether convolutions of f32 images may round their inputs to TF32 (10 bits), as PyTorch does
    /// by default.
    pub tf32: bool,
    /// Whether runs with the same GPU model, driver and cuDNN give the same bits. Convolutions then
    /// use deterministic algorithms only, which cuDNN's rules choose instead of measured times.
    pub deterministic: bool,
}

impl CudaConfig {
    /// Sets whether f32 convolutions may round their inputs to TF32.
    #[must_use]
    pub const fn with_tf32(self, tf32: bool) -> Self {
        Self { tf32, ..self }
    }

    /// Sets whether all runs give the same bits.
    #[must_use]
    pub const fn with_deterministic(self, deterministic: bool) -> Self {
        Self { deterministic, ..self }
    }
}

/// Opens GPU number `ordinal` as a candle device for training.
///
/// The device has one stream without event tracking, and keeps freed memory for later use. Do not
/// use its tensors on other streams.
///
/// # Errors
/// Returns an error if there is no such GPU, if this program does not support it, or if the driver
/// or cuDNN fails.
pub fn open(ordinal: usize, config: CudaConfig) -> Result<Device> {
    let gpus = gpus()?;
    let Some(gpu) = gpus.get(ordinal) else { bail!("cannot open GPU {ordinal}: the number of GPUs is {}", gpus.len()) };
    support::check(gpu, &[PTX, kernels::FILL.ptx()])?;
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: this crate, and candle with this device, only use its one stream.
    unsafe { cuda.disable_event_tracking() };
    keep_memory(ordinal)?;
    registry().insert(cuda.id(), Arc::new(Gpu::new(cuda, config)?));
    Ok(device)
}

/// Configures the memory pool to keep all memory. By default it returns memory to the driver at
/// each synchronisation.
fn keep_memory(ordinal: usize) -> Result<()> {
    let device = driver::result::device::get(ordinal as i32).w()?;
    let mut threshold = u64::MAX;
    // SAFETY: the pool is that of the device, and the attribute is a u64.
    unsafe {
        let pool = driver::result::device::get_default_mem_pool(device).w()?;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast()).result().w()?;
    }
    Ok(())
}

static REGISTRY: LazyLock<Mutex<HashMap<DeviceId, Arc<Gpu>>>> = LazyLock::new(Mutex::default);

fn registry() -> MutexGuard<'static, HashMap<DeviceId, Arc<Gpu>>> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of a device for the operations.
pub(crate) struct Gpu {
    pub(crate) config: CudaConfig,
    pub(crate) convolutions: Mutex<Convolutions>,
    pub(crate) timer: Timer,
    stream: Arc<CudaStream>,
    module: Arc<CudaModule>,
    functions: Mutex<HashMap<String, CudaFunction>>,
}

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Values of the arguments of a kernel, which has at most 16.
type SmallNumbers = [u64; 16];

/// Number of threads per block.
pub(crate) const BLOCK: usize = 256;

impl Gpu {
    /// Returns the state of a device. A device that [`open`] did not open gets the default
    /// settings.
    pub(crate) fn of(device: &CudaDevice) -> Result<Arc<Self>> {
        if let Some(gpu) = registry().get(&device.id()) {
            return Ok(gpu.clone());
        }
        let gpu = Arc::new(Self::new(device, CudaConfig::default())?);
        registry().insert(device.id(), gpu.clone());
        Ok(gpu)
    }

    fn new(device: &CudaDevice, config: CudaConfig) -> Result<Self> {
        let stream = device.cuda_stream();
        let module = stream.context().load_module(PTX.into()).w()?;
        let convolutions = Mutex::new(Convolutions::new(&stream)?);
        let timer = Timer::new(stream.clone());
        Ok(Self { config, convolutions, timer, stream, module, functions: Mutex::default() })
    }

    /// Returns the kernel `name`. The module is searched only once per name.
    fn function(&self, name: &str) -> Result<CudaFunction> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(name) {
            return Ok(function.clone());
        }
        let function = self.module.load_function(name).w()?;
        functions.insert(name.to_owned(), function.clone());
        Ok(function)
    }

    /// Starts a kernel with (x, y) blocks, (x, y) threads per block and `shared` bytes of shared
    /// memory per block.
    ///
    /// The arguments must be those of the kernel, and their memory must cover all that the kernel
    /// reads and writes.
    pub(crate) fn launch(
        &self,
        name: &str,
        grid: (usize, usize),
        block: (usize, usize),
        shared: usize,
        args: &[Arg],
    ) -> Result<()> {
        let function = self.function(name)?;
        let numbers: SmallNumbers = std::array::from_fn(|i| match args.get(i) {
            Some(Arg::Memory(v, _)) => *v,
            Some(Arg::Int(v) | Arg::Long(v)) => *v as u64,
            Some(Arg::Signed(v)) => *v as u64,
            Some(Arg::Float(v)) => u64::from(v.to_bits()),
            _ => 0,
        });
        let mut builder = self.stream.launch_builder(&function);
        for (arg, number) in args.iter().zip(&numbers) {
            match arg {
                Arg::Table(table) => builder.arg(*table),
                // CUDA hosts are little-endian, so a pointer to the u64 is also a pointer to a
                // shorter value in it.
                _ => builder.arg(number),
            };
        }
        let config = LaunchConfig {
            grid_dim: (grid.0.max(1) as u32, grid.1.max(1) as u32, 1),
            block_dim: (block.0 as u32, block.1 as u32, 1),
            shared_mem_bytes: shared as u32,
        };
        self.timer.timed(
            || name.to_owned(),
            || Cost { flops: 0.0, bytes: args.iter().map(Arg::bytes).sum::<usize>() as f64 },
            || {
                // SAFETY: the kernels are those of this crate. Each is started by one function,
                // which passes the arguments that it expects.
                unsafe { builder.launch(config) }.w()?;
                Ok(())
            },
        )
    }

    /// Starts a kernel that loops over `count` items in one dimension.
    pub(crate) fn launch_over(&self, name: &str, count: usize, args: &[Arg]) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        // Each thread loops with a stride of the whole grid, so enough blocks to fill any GPU
        // suffice.
        let blocks = count.div_ceil(BLOCK).min(1 << 14);
        self.launch(name, (blocks, 1), (BLOCK, 1), 0, args)
    }
}
