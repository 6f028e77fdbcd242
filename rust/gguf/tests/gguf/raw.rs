//! Files put together byte by byte, so that any part of them can be wrong.

use farthing_gguf::{Gguf, Problem, Value};

/// Numbers that end up in a header, and what follows it.
pub struct Raw {
    pub version: u32,
    pub tensor_count: u64,
    pub entry_count: u64,
    pub entries: Vec<u8>,
    pub table: Vec<u8>,
    pub alignment: usize,
    pub data: Vec<u8>,
}

impl Default for Raw {
    fn default() -> Raw {
        Raw {
            version: 3,
            tensor_count: 0,
            entry_count: 0,
            entries: Vec::new(),
            table: Vec::new(),
            alignment: 32,
            data: Vec::new(),
        }
    }
}

pub fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

impl Raw {
    /// Adds an entry: its type and its bytes as they are.
    pub fn entry(mut self, key: impl AsRef<[u8]>, ty: u32, value: &[u8]) -> Raw {
        self.entries.extend(string(key));
        self.entries.extend(ty.to_le_bytes());
        self.entries.extend(value);
        self.entry_count += 1;
        self
    }

    /// Adds a row to the table of tensors.
    pub fn tensor(mut self, name: impl AsRef<[u8]>, shape: &[u64], ty: u32, offset: u64) -> Raw {
        self.table.extend(string(name));
        self.table.extend((shape.len() as u32).to_le_bytes());
        for length in shape {
            self.table.extend(length.to_le_bytes());
        }
        self.table.extend(ty.to_le_bytes());
        self.table.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    /// Sets the size of the tensor data.
    pub fn data(mut self, len: usize) -> Raw {
        self.data = (0..len).map(|index| index as u8).collect();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.to_le_bytes());
        out.extend(self.entry_count.to_le_bytes());
        out.extend(&self.entries);
        out.extend(&self.table);
        if !self.data.is_empty() {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&self.data);
        }
        out
    }

    pub fn open(&self) -> farthing_gguf::Result<Gguf> {
        Gguf::from_bytes(self.bytes())
    }

    /// The problem of a file that must not open, and the whole message.
    #[track_caller]
    pub fn problem(&self) -> (Problem, String) {
        let error = self.open().unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("<memory>: "), "{message}");
        (error.problem, message)
    }
}

/// A file with every kind of value, nested arrays and three tensors.
pub fn sample() -> Vec<u8> {
    use farthing_gguf::{GgmlType, Writer};

    let mut out = Vec::new();
    let mut writer = Writer::stream(&mut out);
    for (key, value) in values() {
        writer.metadata(key, value).unwrap();
    }
    let ones: Vec<u8> = (0..6).flat_map(|_| 1f32.to_le_bytes()).collect();
    writer.tensor("ones", &[3, 2], GgmlType::F32, ones).unwrap();
    writer.tensor("blocks", &[64, 1, 2], GgmlType::Q4_0, vec![7; 72]).unwrap();
    writer.tensor("last", &[1], GgmlType::I8, vec![9]).unwrap();
    writer.finish().unwrap();
    out
}

pub fn values() -> Vec<(&'static str, Value)> {
    use farthing_gguf::Array;

    let numbers = Array::from_iter([1u16, 2, 3]);
    let words = Array::strings(["", "a", "\u{2581}the", "<0x0A>"]);
    let nested = Array::nested(vec![words.clone(), numbers.clone(), Array::nested(vec![])]);
    vec![
        ("general.architecture", "llama".into()),
        ("u8", u8::MAX.into()),
        ("i8", i8::MIN.into()),
        ("u16", u16::MAX.into()),
        ("i16", i16::MIN.into()),
        ("u32", u32::MAX.into()),
        ("i32", i32::MIN.into()),
        ("f32", 1e-6f32.into()),
        ("bool", true.into()),
        ("u64", u64::MAX.into()),
        ("i64", i64::MIN.into()),
        ("f64", 0.1f64.into()),
        ("numbers", numbers.into()),
        ("flags", Array::from_iter([true, false]).into()),
        ("words", words.into()),
        ("nested", nested.into()),
    ]
}
