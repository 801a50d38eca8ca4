//! GPU memory of candle's storage.
#![expect(unsafe_code, reason = "new GPU memory is not initialised")]

use candle_core::cuda::cudarc::driver::DevicePtr;
use candle_core::cuda::{CudaDevice, CudaStorage, CudaStorageSlice};
use candle_core::op::BackpropOp;
use candle_core::{DType, Layout, Result, Shape, Storage, Tensor, bail};

/// An operand: a storage and its layout.
pub(crate) type Operand<'a> = (&'a CudaStorage, &'a Layout);

/// Returns a tensor, outside the autograd graph, with memory that a kernel fills.
pub(crate) fn tensor(storage: CudaStorage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// Returns the address of the first element of a contiguous tensor of type `dtype`.
///
/// The guard that orders streams is dropped, which is fine because a device has only one stream
/// here.
pub(crate) fn address(storage: &CudaStorage, layout: &Layout, dtype: DType, op: &str) -> Result<u64> {
    let Some((start, _)) = layout.contiguous_offsets() else {
        bail!("{op}: the tensor of shape {:?} is not contiguous; call .contiguous() first", layout.shape())
    };
    Ok(address_of_first(storage, dtype, op)? + (start * dtype.size_in_bytes()) as u64)
}

/// Returns the address of the first element of a storage of type `dtype`.
pub(crate) fn address_of_first(storage: &CudaStorage, dtype: DType, op: &str) -> Result<u64> {
    let stream = storage.device.cuda_stream();
    let (base, found) = match &storage.slice {
        CudaStorageSlice::F32(slice) => (slice.device_ptr(&stream).0, DType::F32),
        CudaStorageSlice::BF16(slice) => (slice.device_ptr(&stream).0, DType::BF16),
        CudaStorageSlice::U8(slice) => (slice.device_ptr(&stream).0, DType::U8),
        CudaStorageSlice::U32(slice) => (slice.device_ptr(&stream).0, DType::U32),
        _ => bail!("{op}: expected {dtype:?}, found another type"),
    };
    if found != dtype {
        bail!("{op}: expected {dtype:?}, found {found:?}");
    }
    Ok(base)
}

/// Returns the type of activations: f32 or bf16.
pub(crate) fn float_type(storage: &CudaStorage, op: &str) -> Result<DType> {
    match &storage.slice {
        CudaStorageSlice::F32(_) => Ok(DType::F32),
        CudaStorageSlice::BF16(_) => Ok(DType::BF16),
        _ => bail!("{op}: expected f32 or bf16"),
    }
}

/// Allocates memory for `len` elements. The next kernel must write all of it.
pub(crate) fn fresh(device: &CudaDevice, dtype: DType, len: usize) -> Result<CudaStorage> {
    // SAFETY: every caller passes the memory to a kernel that writes all of it before anything
    // reads it.
    let slice = unsafe {
        match dtype {
            DType::F32 => CudaStorageSlice::F32(device.alloc(len)?),
            DType::BF16 => CudaStorageSlice::BF16(device.alloc(len)?),
            DType::U8 => CudaStorageSlice::U8(device.alloc(len)?),
            other => bail!("no kernel writes {other:?}"),
        }
    };
    Ok(CudaStorage { slice, device: device.clone() })
}

/// Returns the address of memory that [`fresh`] allocated.
pub(crate) fn start(storage: &CudaStorage) -> u64 {
    let stream = storage.device.cuda_stream();
    match &storage.slice {
        CudaStorageSlice::F32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::BF16(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::U8(slice) => slice.device_ptr(&stream).0,
        _ => unreachable!("fresh memory has one of three types"),
    }
}

/// Returns the number of bytes of memory that [`fresh`] allocated.
pub(crate) fn bytes(storage: &CudaStorage) -> usize {
    match &storage.slice {
        CudaStorageSlice::F32(slice) => slice.num_bytes(),
        CudaStorageSlice::BF16(slice) => slice.num_bytes(),
        CudaStorageSlice::U8(slice) => slice.num_bytes(),
        _ => unreachable!("fresh memory has one of three types"),
    }
}
