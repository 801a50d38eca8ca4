//! The objects of a pickle, as plain data. They refer to each other by number.

use crate::dtype::DType;
use std::borrow::Cow;

/// The number of an object.
pub(crate) type Id = u32;

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    Reconstruct,
    Scalar,
    FromBuffer,
    Ndarray,
    Dtype,
    Encode,
    OrderedDict,
    RebuildTensor,
    /// A tensor of a type without its own storage class. Its storage has plain bytes.
    RebuildTyped,
    RebuildParameter,
    LoadFromBytes,
    /// A tensor of a subclass, given as a function and its arguments.
    RebuildFromType,
    /// A set made from a list. The list is kept.
    Set,
    /// A dictionary with a default, which is ignored.
    DefaultDict,
    /// A class of storages with elements of a type.
    Storage(DType),
    /// Any other name, as an index in the list of unknown names.
    Unknown(usize),
}

impl Global {
    /// Finds a known function or class. numpy 2 renamed `numpy.core` to `numpy._core`.
    pub(crate) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::Ndarray,
            ("numpy", "dtype") => Self::Dtype,
            ("_codecs", "encode") => Self::Encode,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTyped,
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::RebuildParameter,
            ("torch.storage", "_load_from_bytes") => Self::LoadFromBytes,
            ("collections", "defaultdict") => Self::DefaultDict,
            ("builtins" | "__builtin__", "set" | "frozenset") => Self::Set,
            ("torch" | "torch.cuda" | "torch.storage", storage) => Self::Storage(storage_type(storage)?),
            _ => return None,
        })
    }
}

/// An object. It refers to other objects by number.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    /// An integer or a truth value.
    Int(i64),
    Float(f64),
    Bytes(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values in the order in which they were set.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Dtype(DType),
    /// An array. It is `None` between `_reconstruct` and `BUILD`.
    Array(Option<Box<Array>>),
    Storage(Box<Storage<'a>>),
    Tensor(Box<Tensor>),
    /// An object of an unknown class.
    Object(Box<Object>),
}

/// An array. A numpy scalar is an array without dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// The bytes of the elements, or the list of elements for an array of objects.
    pub(crate) data: Id,
}

/// An object of an unknown class.
#[derive(Debug, Default)]
pub(crate) struct Object {
    /// Keys and values, if it is a kind of dictionary.
    pub(crate) items: Vec<(Id, Id)>,
    /// The state that `BUILD` set, usually a dictionary of its attributes.
    pub(crate) state: Option<Id>,
}

impl Node<'_> {
    /// Creates an object without content.
    pub(crate) fn object() -> Self {
        Self::Object(Box::default())
    }
}

/// A list of elements that tensors can share.
#[derive(Debug)]
pub(crate) struct Storage<'a> {
    pub(crate) dtype: DType,
    pub(crate) place: Place<'a>,
}

/// The place of the elements of a storage.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// The elements are outside of the pickle, under a key.
    Key(String),
    /// The elements are in the pickle.
    Here(Cow<'a, [u8]>),
}

/// A tensor: a view of a storage. Offset and strides are in elements.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) storage: Id,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl Global {
    /// Returns whether this is a function of torch, so that a failed call means an invalid tensor.
    pub(crate) fn is_of_torch(self) -> bool {
        use Global::{LoadFromBytes, RebuildFromType, RebuildParameter, RebuildTensor, RebuildTyped};
        matches!(self, RebuildTensor | RebuildTyped | RebuildParameter | RebuildFromType | LoadFromBytes)
    }
}

/// Returns the element type of a storage class such as `FloatStorage`.
pub(crate) fn storage_type(class: &str) -> Option<DType> {
    DType::parse(match class {
        "BFloat16Storage" => return Some(DType::BRAIN),
        "DoubleStorage" => "<f8",
        "FloatStorage" => "<f4",
        "HalfStorage" => "<f2",
        "LongStorage" => "<i8",
        "IntStorage" => "<i4",
        "ShortStorage" => "<i2",
        "CharStorage" => "|i1",
        "ByteStorage" | "BoolStorage" | "UntypedStorage" => "|u1",
        // The values of these types are not read, but their size is needed.
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => "|S1",
        "QInt32Storage" => "|S4",
        "ComplexFloatStorage" => "|S8",
        "ComplexDoubleStorage" => "|S16",
        _ => return None,
    })
}
