//! Any file that can be written reads back the same; any bytes at all are a file or an error.

use farthing_gguf::{Array, GgmlType, Gguf, Value, Writer};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::raw::sample;

fn array() -> impl Strategy<Value = Array> {
    fn of<T: farthing_gguf::Scalar + std::fmt::Debug>(
        element: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Array> {
        vec(element, 0..20).prop_map(Array::from_iter)
    }
    let leaf = prop_oneof![
        of(any::<u8>()),
        of(any::<i8>()),
        of(any::<u16>()),
        of(any::<i16>()),
        of(any::<u32>()),
        of(any::<i32>()),
        of(any::<u64>()),
        of(any::<i64>()),
        of(any::<bool>()),
        of(-1e30f32..1e30),
        of(-1e300f64..1e300),
        vec(vec(any::<u8>(), 0..9), 0..20).prop_map(Array::strings),
    ];
    leaf.prop_recursive(7, 40, 4, |inner| vec(inner, 0..4).prop_map(Array::nested))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1e30f32..1e30).prop_map(Value::from),
        (-1e300f64..1e300).prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::String(bytes.into())),
        array().prop_map(Value::from),
    ]
}

/// Type and shape, a few blocks in all.
fn layout() -> impl Strategy<Value = (GgmlType, Vec<usize>)> {
    let types: Vec<GgmlType> = GgmlType::all().collect();
    (select(types), vec(1usize..4, 1..=4)).prop_map(|(ty, mut shape)| {
        shape[0] *= ty.block_len();
        (ty, shape)
    })
}

/// The name, shape, type and data of a tensor.
type Whole = (String, Vec<usize>, GgmlType, Vec<u8>);

fn tensor(name: &str, ty: GgmlType, shape: &[usize], fill: u8) -> Whole {
    let blocks = shape.iter().product::<usize>() / ty.block_len();
    let data = (0..blocks * ty.block_bytes()).map(|index| fill.wrapping_add(index as u8));
    (name.to_owned(), shape.to_vec(), ty, data.collect())
}

/// Touches everything that a file gives.
fn walk(gguf: &Gguf) -> u64 {
    fn of(value: &Value) -> u64 {
        match value {
            Value::Array(array) => array.iter().map(|value| of(&value)).sum(),
            Value::String(text) => text.as_bytes().len() as u64,
            _ => 1,
        }
    }
    let values: u64 = gguf.metadata().iter().map(|(_, value)| of(value)).sum();
    let bytes = gguf.tensors().iter().flat_map(|tensor| tensor.data().to_vec());
    values + bytes.map(u64::from).sum::<u64>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(
        entries in btree_map("[a-z_.]{1,12}", value(), 0..8),
        layouts in btree_map("[a-z0-9._]{1,63}", (layout(), any::<u8>()), 0..5),
        alignment in select(vec![None, Some(8u32), Some(32), Some(256)]),
    ) {
        let tensors: Vec<Whole> = layouts
            .iter()
            .map(|(name, ((ty, shape), fill))| tensor(name, *ty, shape, *fill))
            .collect();
        let mut entries: Vec<(String, Value)> = entries.into_iter().collect();
        if let Some(alignment) = alignment {
            entries.push(("general.alignment".into(), alignment.into()));
        }
        let mut file = Vec::new();
        let mut writer = Writer::stream(&mut file);
        for (key, value) in &entries {
            writer.metadata(key, value.clone()).unwrap();
        }
        for (name, shape, ty, data) in &tensors {
            writer.tensor(name, shape, *ty, data.as_slice()).unwrap();
        }
        writer.finish().unwrap();

        let gguf = Gguf::from_bytes(file).unwrap();
        prop_assert_eq!(gguf.alignment(), u64::from(alignment.unwrap_or(32)));
        let found: Vec<_> =
            gguf.metadata().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        prop_assert_eq!(found, entries);
        let found: Vec<Whole> = gguf
            .tensors()
            .iter()
            .map(|t| (t.name.clone(), t.shape.clone(), t.ty, t.data().to_vec()))
            .collect();
        prop_assert_eq!(found, tensors);
    }

    #[test]
    fn any_damage_is_an_error_or_another_file(
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        long in any::<Option<(Index, u64)>>(),
        keep in any::<Option<Index>>(),
    ) {
        let mut bytes = sample();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Some((place, number)) = long {
            let start = place.index(bytes.len() - 8);
            bytes[start..start + 8].copy_from_slice(&number.to_le_bytes());
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(gguf) = Gguf::from_bytes(bytes) {
            walk(&gguf);
        }
    }
}
