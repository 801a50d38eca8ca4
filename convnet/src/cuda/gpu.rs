//! What the ops keep of a device: its kernels, its cuDNN handle, its workspace.
#![expect(unsafe_code, reason = "kernel launches and the driver's memory pool")]

use super::cards::{self, cards};
use super::conv::Operand;
use super::convolutions::Convolutions;
use super::memory::{address, bytes, start};
use super::profile::{Cost, Timed};
use super::sgd::Table;
use candle_core::cuda::cudarc::driver::{self, CudaFunction, CudaModule, CudaStream, LaunchConfig, PushKernelArg, sys};
use candle_core::cuda::{CudaDevice, CudaStorage, DeviceId, WrapErr, kernels};
use candle_core::{DType, Device, Error, Result, bail};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// How a device computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CudaConfig {
    /// Let convolutions of f32 images round their inputs to TF32 (10 bits), as PyTorch does by default.
    pub tf32: bool,
    /// Only convolution algorithms that give the same bits in every run, chosen by cuDNN's rules instead of by their times: the
    /// same bits on the same card, driver and cuDNN.
    pub deterministic: bool,
}

/// Opens card `ordinal` for training: one stream without event tracking, and memory that is kept once it was taken.
///
/// Don't share tensors of this device between streams.
pub fn open(ordinal: usize, config: CudaConfig) -> Result<Device> {
    let cards = cards()?;
    let Some(card) = cards.get(ordinal) else { bail!("there is no card {ordinal}; the driver shows {}", cards.len()) };
    cards::check(card, &[PTX, kernels::FILL.ptx()])?;
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: this crate, and candle with this device, use its one stream only.
    unsafe { cuda.disable_event_tracking() };
    keep_memory(ordinal)?;
    registry().insert(cuda.id(), Arc::new(Gpu::new(cuda, config)?));
    Ok(device)
}

/// The default pool gives memory back to the driver at every synchronisation; keep it all.
fn keep_memory(ordinal: usize) -> Result<()> {
    let device = driver::result::device::get(ordinal as i32).w()?;
    let mut threshold = u64::MAX;
    // SAFETY: the pool is the device's own, and the attribute takes a u64.
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

/// A device as the ops see it.
pub(crate) struct Gpu {
    pub(crate) config: CudaConfig,
    pub(crate) convolutions: Mutex<Convolutions>,
    stream: Arc<CudaStream>,
    module: Arc<CudaModule>,
    functions: Mutex<HashMap<String, CudaFunction>>,
    profile: Mutex<Option<Vec<Timed>>>,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    /// Address of as many bytes on the device.
    Memory(u64, usize),
    /// `int`
    Int(usize),
    /// `int` that may be negative
    Signed(isize),
    /// `int64_t`
    Long(usize),
    /// `float`
    Float(f32),
    /// A structure by value.
    Table(&'a Table),
}

impl Arg<'_> {
    /// All of a contiguous tensor of type `dtype`.
    pub(crate) fn tensor((storage, layout): Operand, dtype: DType, op: &str) -> Result<Self> {
        let bytes = layout.shape().elem_count() * dtype.size_in_bytes();
        Ok(Self::Memory(address(storage, layout, dtype, op)?, bytes))
    }

    /// All of the memory that `fresh` gave.
    pub(crate) fn fresh(storage: &CudaStorage) -> Self {
        Self::Memory(start(storage), bytes(storage))
    }

    /// No tensor.
    pub(crate) const NONE: Self = Self::Memory(0, 0);

    fn bytes(&self) -> usize {
        match self {
            Self::Memory(_, bytes) => *bytes,
            // Variables and momenta are read and written, gradients read.
            Self::Table(table) => table.iter().map(|entry| 5 * size_of::<f32>() * entry[3] as usize).sum(),
            _ => 0,
        }
    }
}

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Arguments of a kernel at most.
type SmallNumbers = [u64; 16];

/// Threads of a block.
pub(crate) const BLOCK: usize = 256;

impl Gpu {
    /// Of a device that [`open`] made, or of any other one with the default configuration.
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
        Ok(Self { config, convolutions, stream, module, functions: Mutex::default(), profile: Mutex::default() })
    }

    fn profile(&self) -> MutexGuard<'_, Option<Vec<Timed>>> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start_profile(&self) {
        *self.profile() = Some(Vec::new());
    }

    pub(super) fn take_profile(&self) -> Vec<Timed> {
        self.profile().take().unwrap_or_default()
    }

    /// Does `work`, and times it if a profile is being taken.
    pub(crate) fn timed(
        &self,
        name: impl FnOnce() -> String,
        cost: impl FnOnce() -> Cost,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.profile().is_none() {
            return work();
        }
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let begun = self.stream.record_event(flags).w()?;
        work()?;
        let ended = self.stream.record_event(flags).w()?;
        if let Some(profile) = self.profile().as_mut() {
            profile.push(Timed { name: name(), cost: cost(), begun, ended });
        }
        Ok(())
    }

    /// A kernel by its name, looked up once.
    fn function(&self, name: &str) -> Result<CudaFunction> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(name) {
            return Ok(function.clone());
        }
        let function = self.module.load_function(name).w()?;
        functions.insert(name.to_owned(), function.clone());
        Ok(function)
    }

    /// Starts a kernel on a grid of blocks of threads, both (x, y), with `shared` bytes of shared memory for each block.
    ///
    /// Callers see to it that the arguments are those of the kernel and that addresses reach as far as it reads and writes.
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
                // Little-endian: a shorter value is the start of the longer one that holds it.
                _ => builder.arg(number),
            };
        }
        let config = LaunchConfig {
            grid_dim: (grid.0.max(1) as u32, grid.1.max(1) as u32, 1),
            block_dim: (block.0 as u32, block.1 as u32, 1),
            shared_mem_bytes: shared as u32,
        };
        self.timed(
            || name.to_owned(),
            || Cost { flops: 0.0, bytes: args.iter().map(Arg::bytes).sum::<usize>() as f64 },
            || {
                // SAFETY: the kernels are this crate's, and each is started from one place that gives what it takes.
                unsafe { builder.launch(config) }.w()?;
                Ok(())
            },
        )
    }

    /// Starts a kernel that walks over `count` items in one dimension.
    pub(crate) fn launch_over(&self, name: &str, count: usize, args: &[Arg]) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        // Kernels walk in grid-sized strides: enough blocks to fill any card, not more.
        let blocks = count.div_ceil(BLOCK).min(1 << 14);
        self.launch(name, (blocks, 1), (BLOCK, 1), 0, args)
    }
}

/// Suffix of a kernel of single values.
pub(crate) fn suffix(dtype: DType) -> &'static str {
    if dtype == DType::BF16 { "bf16" } else { "f32" }
}

/// Values that a thread reads at once: 16 bytes, or 1 where `len` is no multiple of that.
pub(crate) fn vector(dtype: DType, len: usize) -> usize {
    let vector = 16 / dtype.size_in_bytes();
    if len.is_multiple_of(vector) { vector } else { 1 }
}

/// A cuDNN or driver error as candle's.
pub(crate) fn error(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Msg(format!("{what}: {error}"))
}
