//! Valid files made invalid: in their fields, whose lengths are then put right, and in their bytes, whose are not.

use nn::rng::numpy::RandomState;

/// Makes a file of its fields.
pub type Seal = fn(&[Vec<u8>]) -> Vec<u8>;

/// A file by its fields, and how they become bytes.
#[derive(Clone)]
pub struct Template {
    pub fields: Vec<Vec<u8>>,
    pub seal: Seal,
}

/// Words, numbers and marks of a text, each a field.
pub fn fields(text: &str) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut last = None;
    for c in text.chars() {
        let kind = if c.is_ascii_digit() {
            1
        } else if c.is_alphanumeric() || c == '_' {
            2
        } else {
            3
        };
        let mut utf8 = [0; 4];
        let bytes = c.encode_utf8(&mut utf8).as_bytes();
        match out.last_mut() {
            Some(field) if last == Some(kind) && kind < 3 => field.extend(bytes),
            _ => out.push(bytes.to_vec()),
        }
        last = Some(kind);
    }
    out
}

/// What stands for a number or a word in hostile files.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "-1",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483649",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1000000000000000000000000000000",
    "1e400",
    "1.5",
    "-0",
    "nan",
    "inf",
    "0x10",
    "1_000",
    "",
    "\"",
    "'",
    "\\u0061",
    "\u{e9}",
    "\u{202e}",
    "\0",
    "\n",
    "\r",
    "null",
    "[]",
    "{}",
    "[[[[[[[[",
    "(",
    ",",
    "F8_E4M3",
    "U64",
    ">i8",
    "|O",
];

/// Numbers that a length or an offset is overwritten by.
const INTEGERS: &[u64] = &[
    0,
    1,
    2,
    3,
    8,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x10000,
    1 << 31,
    u32::MAX as u64,
    1 << 40,
    1 << 63,
    u64::MAX,
];

pub struct Random(RandomState);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(RandomState::new(seed as i64))
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n.max(1)
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// One file out of the first of `templates` that the random numbers point to.
pub fn mutant(templates: &[Template], random: &mut Random) -> Vec<u8> {
    let mut file = random.pick(templates).clone();
    // Some are damaged in their bytes alone.
    for _ in 0..random.below(4) {
        change_fields(&mut file.fields, templates, random);
    }
    let mut bytes = (file.seal)(&file.fields);
    if random.below(2) == 0 {
        for _ in 0..1 + random.below(3) {
            change_bytes(&mut bytes, templates, random);
        }
    }
    bytes
}

fn change_fields(fields: &mut Vec<Vec<u8>>, templates: &[Template], random: &mut Random) {
    let at = random.below(fields.len());
    let digits = |f: &Vec<u8>| f.first().is_some_and(u8::is_ascii_digit);
    match random.below(8) {
        _ if fields.is_empty() => fields.push(b"0".to_vec()),
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, fields[at].clone()),
        2 => {
            let other = random.below(fields.len());
            fields.swap(at, other);
        }
        3 => {
            let from = &random.pick(templates).fields;
            fields[at] = random.pick(from).clone();
        }
        4 => {
            let field = fields[at].clone();
            let times = *random.pick(&[2, 10, 100, 3000]);
            fields[at] = field.repeat(times.min(1 + 20_000 / field.len().max(1)));
        }
        5 => fields[at] = random.pick(WORDS).as_bytes().to_vec(),
        // Numbers are what a header is about.
        _ => {
            let numbers: Vec<usize> = (0..fields.len()).filter(|i| digits(&fields[*i])).collect();
            if let Some(i) = numbers.get(random.below(numbers.len())) {
                fields[*i] = random.pick(&WORDS[..20]).as_bytes().to_vec();
            }
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, templates: &[Template], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(6) {
        _ if bytes.is_empty() => bytes.push(0),
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => {
            let number = *random.pick(INTEGERS);
            let little = random.below(2) == 0;
            let number = if little { number.to_le_bytes() } else { number.to_be_bytes() };
            let width = *random.pick(&[1, 2, 4, 8]);
            let number = if little { &number[..width] } else { &number[8 - width..] };
            for (byte, new) in bytes[at..].iter_mut().zip(number) {
                *byte = *new;
            }
        }
        3 => bytes.insert(at, random.below(256) as u8),
        4 => {
            let other = random.pick(templates);
            let other = (other.seal)(&other.fields);
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        _ => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
    }
}
