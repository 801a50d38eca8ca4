//! The objects that a pickle makes, as plain data: they refer to each other by number.

use crate::dtype::DType;
use std::borrow::Cow;

/// Number of an object.
pub(crate) type Id = u32;

/// All functions and classes that a pickle may name.
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
    /// A tensor with its type beside the storage, which is of plain bytes.
    RebuildTyped,
    RebuildParameter,
    LoadFromBytes,
    /// A tensor of a subclass: a function and its arguments.
    RebuildFromType,
    /// A set of a list; kept as the list.
    Set,
    /// A dictionary with a default, which is not needed.
    DefaultDict,
    /// Numbers of a type.
    Storage(DType),
    /// Anything else: a place in the list of unknown names.
    Unknown(usize),
}

impl Global {
    /// numpy 2 renamed `numpy.core` to `numpy._core`.
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

/// An object. Those that hold others name them by number.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    /// Whole numbers and truth values.
    Int(i64),
    Float(f64),
    Bytes(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values in the order of their setting.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Dtype(DType),
    /// `None` between `_reconstruct` and `BUILD`.
    Array(Option<Box<Array>>),
    Storage(Box<Storage<'a>>),
    Tensor(Box<Tensor>),
    /// An object of an unknown class.
    Object(Box<Object>),
}

/// An array, or a numpy scalar as one without dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Its bytes; for an array of objects the list of them.
    pub(crate) data: Id,
}

/// An object of an unknown class.
#[derive(Debug, Default)]
pub(crate) struct Object {
    /// What it holds by key, if it is a kind of dictionary.
    pub(crate) items: Vec<(Id, Id)>,
    /// What `BUILD` gave it: as a rule the dictionary of its attributes.
    pub(crate) state: Option<Id>,
}

impl Node<'_> {
    pub(crate) fn object() -> Self {
        Self::Object(Box::default())
    }
}

/// Elements that tensors share.
#[derive(Debug)]
pub(crate) struct Storage<'a> {
    pub(crate) dtype: DType,
    pub(crate) place: Place<'a>,
}

#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// Outside of the pickle, under a key.
    Key(String),
    Here(Cow<'a, [u8]>),
}

/// A view of a storage. Offset and strides count elements.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) storage: Id,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

impl Global {
    /// Whether a call of it that goes wrong means a broken tensor.
    pub(crate) fn is_of_torch(self) -> bool {
        use Global::{LoadFromBytes, RebuildFromType, RebuildParameter, RebuildTensor, RebuildTyped};
        matches!(self, RebuildTensor | RebuildTyped | RebuildParameter | RebuildFromType | LoadFromBytes)
    }
}

/// The type of a class such as `FloatStorage`.
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
        // Elements whose numbers are not read; their size is.
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => "|S1",
        "QInt32Storage" => "|S4",
        "ComplexFloatStorage" => "|S8",
        "ComplexDoubleStorage" => "|S16",
        _ => return None,
    })
}
