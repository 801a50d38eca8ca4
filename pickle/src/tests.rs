//! Tests with pickles of each protocol from Python 2 and 3 and numpy 1 and 2, and with hostile
//! ones.
//!
//! `scripts/make_score_goldens.py` writes the pickles.

use crate::error::{PickleError, Result};
use crate::{NamedTensor, Rows, read_rows, read_tensors};
use std::collections::BTreeMap;
use std::path::Path;

const GOLDENS: &str = "tests/scores";

fn goldens(part: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(GOLDENS);
    let mut found = Vec::new();
    for (maker, protocols) in [("python2-numpy1", 3), ("numpy1", 6), ("numpy2", 6)] {
        for protocol in 0..protocols {
            let name = format!("{maker}-{part}protocol{protocol}.pickle");
            found.push((name.clone(), std::fs::read(dir.join(&name)).expect(&name)));
        }
    }
    found
}

/// Returns the rows of `plain()` in the script, as bits.
fn plain_rows() -> BTreeMap<String, Vec<u32>> {
    let bits = |row: [f32; 4]| row.map(f32::to_bits).to_vec();
    let odd = [*b"\n'\\\"", *b"\r\x1a\x7f@", *b"\x80\xff\xfeB", *b"\x00\x00\x80\xc0"];
    BTreeMap::from([
        ("ApplyEyeMakeup_g01_c01".into(), bits([0.1, -0.0, 1e30, -1.5])),
        ("HandstandPushups_g07_c02".into(), bits(odd.map(f32::from_le_bytes))),
        ("YoYo_g25_c05".into(), bits([1e-45, 1e38, -1e38, 7.0])),
    ])
}

fn bits(rows: Vec<(String, Vec<f32>)>) -> BTreeMap<String, Vec<u32>> {
    rows.into_iter().map(|(name, row)| (name, row.into_iter().map(f32::to_bits).collect())).collect()
}

/// Reads the rows of a dictionary.
fn named(bytes: &[u8]) -> Result<Vec<(String, Vec<f32>)>> {
    match read_rows(bytes)? {
        Rows::Named(rows) => Ok(rows),
        Rows::Listed(rows) => panic!("a list of {} rows", rows.len()),
    }
}

#[test]
fn score_files_of_the_reference_code_are_read_in_each_protocol() {
    for (name, bytes) in goldens("") {
        assert_eq!(bits(named(&bytes).expect(&name)), plain_rows(), "{name}");
    }
}

#[test]
fn each_form_of_a_row_is_read_in_each_protocol() {
    for (name, bytes) in goldens("kinds-") {
        let rows = named(&bytes).expect(&name);
        assert_eq!(rows.len(), 10, "{name}");
        assert_eq!(rows[0].0, "half", "an OrderedDict keeps its order: {name}");
        for (form, row) in rows {
            assert_eq!(row, [1.0, -2.5, 0.125], "{form} in {name}");
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(GOLDENS).join(name)).expect(name)
}

const DUMPS: [&str; 2] = ["mmaction2-tensors-protocol2.pickle", "mmaction2-tensors-protocol4.pickle"];
/// Reads the tensors of a legacy file.
fn read_legacy(bytes: &[u8]) -> Result<Vec<NamedTensor>> {
    read_tensors(bytes).map(|found| found.tensors)
}

const OLD: &str = "old-checkpoint.pth.tar";

#[test]
fn tensors_in_the_dumps_of_mmaction2_are_rows() {
    for name in DUMPS {
        let Rows::Listed(rows) = read_rows(&golden(name)).expect(name) else { panic!("{name} is no list") };
        let found: Vec<Vec<u32>> = rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect();
        assert_eq!(found, plain_rows().into_values().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_checkpoint_from_before_pytorch_1_6_is_read() {
    let tensors = read_legacy(&golden(OLD)).unwrap();
    let tensor = |name: &str| {
        let of = tensors.iter().find(|of| of.name == format!("module.{name}")).expect(name);
        (of.shape.as_slice(), of.values.as_slice())
    };
    let ramp: Vec<f32> = (0..24).map(|v| v as f32).collect();
    let turned: Vec<f32> = (0..24).map(|i| (i % 4 * 6 + i / 4) as f32).collect();
    assert_eq!(tensor("conv1.weight"), ([3, 2, 2, 2].as_slice(), ramp.as_slice()));
    assert_eq!(tensor("turned"), ([6, 4].as_slice(), turned.as_slice()));
    assert_eq!(tensor("middle"), ([3].as_slice(), [10.0, 11.0, 12.0].as_slice()));
    assert_eq!(tensor("parameter").1, [0.0, 1.0]);
    assert_eq!(tensor("double").1, [0.5, -0.0]);
    assert_eq!(tensor("half").1, [0.5, -2.0]);
    assert_eq!(tensor("bn1.running_var").1, [1.0, 2.0, 3.0]);
    // Counters are not floats, and the other content of the checkpoint is not weights.
    assert_eq!(tensors.len(), 7 + 4, "{tensors:?}");
}

#[test]
fn files_of_tensors_that_are_cut_or_damaged_cause_no_panic_and_no_large_result() {
    for name in DUMPS {
        let bytes = golden(name);
        assert!((0..bytes.len()).all(|end| read_rows(&bytes[..end]).is_err()), "{name}");
    }
    let old = golden(OLD);
    assert!((0..old.len()).all(|end| read_legacy(&old[..end]).is_err()));
    for (number, name) in DUMPS.into_iter().chain([OLD]).enumerate() {
        let mut bytes = golden(name);
        for at in 0..bytes.len() {
            let whole = bytes[at];
            for value in [0, 1, b'.', b'Q', b'R', b'K', b'h', 0x7f, 0x85, 0xff] {
                bytes[at] = value;
                let held = match number {
                    2 => read_legacy(&bytes).map_or(0, |found| found.iter().map(|of| of.values.len()).sum()),
                    _ => read_rows(&bytes).map_or(0, |rows| match rows {
                        Rows::Named(rows) => rows.iter().map(|row| row.1.len()).sum(),
                        Rows::Listed(rows) => rows.iter().map(Vec::len).sum::<usize>(),
                    }),
                };
                assert!(held <= bytes.len());
            }
            bytes[at] = whole;
        }
    }
}

#[test]
fn torch_files_call_no_functions() {
    let old = golden(OLD);
    let text = b"ctorch._utils\n_rebuild_tensor_v2\n";
    let at = old.windows(text.len()).position(|part| part == text).unwrap();
    let mut calling = old.clone();
    calling.splice(at..at + text.len(), *b"cos\nsystem\n");
    assert_eq!(read_legacy(&calling).unwrap_err(), PickleError::Calls("os.system".into()));
    // The file of a whole module names its classes.
    calling = old.clone();
    calling.splice(at..at + text.len(), *b"ctorchvision.models.resnet\nResNet\n");
    let error = read_legacy(&calling).unwrap_err().to_string();
    assert!(error.contains("torchvision.models.resnet.ResNet"), "{error}");
    let big = old.windows(13).position(|part| part == b"little_endian").unwrap();
    let mut swapped = old;
    swapped[big..big + 3].copy_from_slice(b"big");
    assert!(read_legacy(&swapped).unwrap_err().to_string().contains("little-endian"));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for (name, bytes) in goldens("").into_iter().chain(goldens("kinds-")) {
        for end in 0..bytes.len() {
            assert!(named(&bytes[..end]).is_err(), "{name} cut to {end} bytes");
        }
    }
}

#[test]
fn damaged_files_cause_no_panic_and_no_large_result() {
    for (_, bytes) in goldens("").into_iter().chain(goldens("kinds-")) {
        for at in 0..bytes.len() {
            for value in [0, 1, b'.', b'(', b'R', b'b', b'h', 0x7f, 0x94, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let held: usize = match read_rows(&damaged) {
                    Ok(Rows::Named(rows)) => rows.iter().map(|(name, row)| name.len() + row.len()).sum(),
                    Ok(Rows::Listed(rows)) => rows.iter().map(Vec::len).sum(),
                    Err(_) => 0,
                };
                assert!(held <= damaged.len());
            }
        }
    }
}

fn fault(bytes: &[u8]) -> String {
    named(bytes).unwrap_err().to_string()
}

#[test]
fn functions_are_named_and_never_called() {
    let calls = |bytes: &[u8], name: &str| {
        assert_eq!(named(bytes).unwrap_err(), PickleError::Calls(name.to_owned()), "{bytes:?}");
    };
    calls(b"cos\nsystem\n(S'id'\ntR.", "os.system");
    calls(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", "os.system");
    calls(b"(S'id'\nios\nsystem\n.", "os.system");
    calls(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncposix\nsystem\nK\x00\x85C\x01b\x87R.", "posix.system");
    calls(b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval");
    calls(b"cbuiltins\ngetattr\n.", "builtins.getattr");
    calls(b"cnumpy\nload\n.", "numpy.load");
    // Python would look up each part of a dotted name as an attribute.
    calls(b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tobytes\x93.", "numpy.ndarray.tobytes");
    calls(b"\x80\x04\x8c\x07_codecs\x8c\x06decode\x93.", "_codecs.decode");
    let message = PickleError::Calls("os.system".into()).to_string();
    assert_eq!(
        message,
        "the pickle calls os.system; only plain dictionaries and lists of numpy arrays and torch tensors are supported"
    );
}

#[test]
fn messages_repeat_only_valid_names() {
    assert!(fault(b"c\x1b[2J\nsystem\n.").contains("invalid function"));
    let long = [b"c".as_slice(), &[b'a'; 300], b"\nb\n."].concat();
    assert!(fault(&long).contains("invalid function"));
    let message = fault(b"\x80\x02}X\x04\x00\x00\x00\x1b[2JNs.");
    assert!(message.contains("\\u{1b}[2J is None"), "{message}");
}

#[test]
fn other_ways_to_run_code_are_refused() {
    assert!(fault(b"\x80\x02\x82\x01.").contains("extension code"));
    assert!(fault(b"Pfile\n.").contains("outside of the pickle"));
    assert!(fault(b"\x80\x02K\x01Q.").contains("outside of the pickle"));
    assert!(fault(b"\x80\x05\x97.").contains("buffer_callback"));
    // The opcodes NEWOBJ, NEWOBJ_EX and OBJ.
    for bytes in [&b"\x80\x02cnumpy\nndarray\n)\x81."[..], b"\x80\x04cnumpy\nndarray\n)}\x92.", b"(cnumpy\nndarray\no."]
    {
        assert!(matches!(named(bytes).unwrap_err(), PickleError::Opcode { .. }), "{bytes:?}");
    }
    assert!(fault(b"(inumpy\nndarray\n.").contains("an instance of Ndarray"));
    // Calls of other objects, of classes, and with wrong arguments.
    assert!(fault(b"K\x01)R.").contains("an object that is not a function"));
    assert!(fault(b"cnumpy\nndarray\n)R.").contains("Ndarray has unsupported arguments"));
    assert!(fault(b"ccollections\nOrderedDict\n]R.").contains("are not a tuple"));
    assert!(fault(b"c_codecs\nencode\n(S'a'\nS'zlib'\ntR.").contains("Encode has unsupported arguments"));
    assert!(fault(b"c_codecs\nencode\n(V\\u0142\nS'latin1'\ntR.").contains("not Latin-1"));
}

#[test]
fn build_gives_state_to_new_arrays_and_plain_types_only() {
    let array = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR";
    let dtype = "cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb";
    let rows = |state: &str| named(format!("(dS'a'\n{array}{state}bs.").as_bytes());
    let row = |state: &str| rows(state).map(|rows| rows[0].1.clone());
    assert_eq!(row(&format!("(I1\n(I1\nt{dtype}I00\nS'\\x00\\x00\\x80?'\nt")).unwrap(), [1.0]);
    let fault = |state: &str| rows(state).unwrap_err().to_string();
    assert!(fault(&format!("(I1\n(I2\nt{dtype}I00\nS'\\x00\\x00\\x80?'\nt")).contains("length 4"));
    assert!(fault(&format!("(I1\n(I-1\nt{dtype}I00\nS''\nt")).contains("invalid or too many sizes"));
    let huge = "(I4611686018427387904\nI4611686018427387904\nt";
    assert!(fault(&format!("(I1\n{huge}{dtype}I00\nS''\nt")).contains("has length 0, but its shape is"));
    assert!(fault(&format!("(I1\n(I1\nt{dtype}I00\nNt")).contains("has no data"));
    assert!(fault("(I1\n(I1\ntS'f4'\nI00\nS''\nt").contains("has no type"));
    assert!(fault("(dS'__class__'\nNs").contains("state of an object is not a tuple"));
    let full = format!("(I1\n(I1\nt{dtype}I00\nS'\\x00\\x00\\x80?'\nt");
    assert!(fault(&format!("{full}b{full}")).contains("BUILD needs a new array"));
    let fields = dtype.replace("NNN", "N(S'a'\ntN");
    assert!(fault(&format!("(I1\n(I1\nt{fields}I00\nS''\nt")).contains("has fields or subtypes"));
    assert!(named(b"(d(NNtb.").unwrap_err().to_string().contains("BUILD needs"));
    assert!(fault(&full.replace("'f4'", "'V4'")).contains("has type V4, which is not supported"));
}

#[test]
fn lengths_larger_than_the_file_use_no_memory() {
    for head in [&b"X\xff\xff\xff\xff"[..], b"B\xff\xff\xff\xff", b"T\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f"] {
        assert!(matches!(named(head).unwrap_err(), PickleError::Truncated { .. }), "{head:?}");
    }
    for code in [0x8d, 0x8e, 0x96] {
        let bytes = [&[code], u64::MAX.to_le_bytes().as_slice()].concat();
        assert!(matches!(named(&bytes).unwrap_err(), PickleError::Truncated { .. }), "{code:x}");
    }
    assert!(fault(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff.").contains("is None"), "the memo must not be an array");
}

#[test]
fn objects_that_contain_themselves_are_refused_quickly() {
    assert!(fault(b"]q\x00h\x00a.").contains("a list in which item 0 is"), "{}", fault(b"]q\x00h\x00a."));
    assert!(fault(b"}q\x00h\x00h\x00s.").contains("a dictionary among its keys"));
    assert!(fault(b"}q\x00X\x01\x00\x00\x00ah\x00s.").contains("a is a dictionary"));
    assert!(fault(b"}X\x01\x00\x00\x00a]q\x00h\x00as.").contains("not numbers"));
    let mut deep = vec![b']'; 1_000_000];
    deep.extend(vec![b'a'; 999_999]);
    deep.push(b'.');
    assert!(fault(&deep).contains("a list in which item 0 is"), "{}", fault(&deep));
}

#[test]
fn sharing_does_not_multiply_memory() {
    // One list of numbers has the scores of many clips.
    let mut bytes = b"\x80\x02}](".to_vec();
    bytes.extend(b"K\x01".repeat(1000));
    bytes.extend(b"eq\x000(");
    for clip in 0..1000 {
        bytes.extend(format!("S'{clip}'\nh\x00").as_bytes());
    }
    bytes.extend(b"u.");
    assert_eq!(named(&bytes).unwrap_err(), PickleError::Expands);

    // One text is encoded many times.
    let mut bytes = format!("c_codecs\nencode\np0\n0(V{}\nS'latin1'\ntp1\n0", "a".repeat(1000)).into_bytes();
    bytes.extend(b"g0\ng1\nR0".repeat(1000));
    bytes.extend(b"}.");
    assert_eq!(named(&bytes).unwrap_err(), PickleError::Expands);

    // One list of pairs is copied to many dictionaries.
    let mut bytes = b"ccollections\nOrderedDict\np0\n0((l".to_vec();
    bytes.extend(b"(NNla".repeat(1000));
    bytes.extend(b"tp1\n0");
    bytes.extend(b"g0\ng1\nR0".repeat(1000));
    bytes.extend(b"}.");
    assert_eq!(named(&bytes).unwrap_err(), PickleError::Expands);
}

#[test]
fn marks_and_stack_are_checked() {
    assert!(fault(b".").contains("the stack is empty"));
    assert!(fault(b"t.").contains("no mark"));
    assert!(fault(b"N(a.").contains("fewer than 1"));
    assert!(fault(b"N(.").contains("the stack is empty"), "objects below a mark cannot be reached");
    assert!(fault(b"Ns.").contains("fewer than 2"));
    assert!(fault(b"}(Nu.").contains("a key has no value"));
    assert!(fault(b"NNa.").contains("needs a list"));
    assert!(fault(b"NNNs.").contains("needs a dictionary"));
    assert!(fault(b"h\x07.").contains("the memo has no object 7"));
    assert!(fault(b"\x80\x06.").contains("protocol 6"));
    assert!(named(b"}N0(01(10.").is_err());
    assert!(fault(b"}N0(0(N1N2000.").contains("the stack is empty"));
    assert!(named(b"}N0(0(N1N200.").unwrap().is_empty());
}

#[test]
fn dictionaries_of_other_things_are_described() {
    let value = |code: &str| fault(format!("(dS'a'\n{code}s.").as_bytes());
    assert!(value("N").contains("a is None"));
    assert!(value("F1.5\n").contains("a is a number"));
    assert!(value("S'b'\n").contains("a is text"));
    assert!(value("(S'b'\nt").contains("not numbers"));
    assert!(fault(b"(dI1\nNs.").contains("a number among its keys"));
}
