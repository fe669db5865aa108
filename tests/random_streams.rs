//! The two foreign random streams against numbers recorded from TensorFlow 2.21 and NumPy 2.4.
//!
//! Uniforms, integers and permutations must be equal bit for bit, normals within 2 ulp: their logarithm
//! comes from another library than the one the numbers were recorded with.

use nn::check::program::{Draw, RngKind};
use nn::rng::mt19937::Mt19937;
use nn::rng::numpy::RandomState;
use nn::rng::{Stream, tf1};
use serde_json::Value;

fn golden(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).expect("the golden file is JSON");
    file["cases"].as_array().expect("a list of cases").clone()
}

fn flat(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}

fn ints(v: &Value) -> Vec<i64> {
    match v {
        Value::Array(items) => items.iter().flat_map(ints).collect(),
        other => vec![other.as_i64().expect("an integer")],
    }
}

fn ulps32(a: f32, b: f32) -> u32 {
    let line = |x: f32| {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
    };
    line(a).abs_diff(line(b))
}

fn ulps64(a: f64, b: f64) -> u64 {
    let line = |x: f64| {
        let bits = x.to_bits() as i64;
        if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
    };
    line(a).abs_diff(line(b))
}

fn crc32(values: &[f32]) -> String {
    let mut crc = u32::MAX;
    for byte in values.iter().flat_map(|x| x.to_le_bytes()) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    format!("{:08x}", !crc)
}

/// One run of a recorded op, its arguments applied as TensorFlow does: a product and a sum in f32.
fn run(op: &mut tf1::Op, record: &Value, n: usize) -> Vec<f32> {
    let arg = |name: &str, default: f64| record["args"][name].as_f64().unwrap_or(default) as f32;
    match record["op"].as_str().expect("a name") {
        "random_uniform" => {
            let (lo, hi) = (arg("minval", 0.0), arg("maxval", 1.0));
            op.uniform(n).into_iter().map(|u| u * (hi - lo) + lo).collect()
        }
        "random_normal" => {
            op.normal(n).into_iter().map(|z| z * arg("stddev", 1.0) + arg("mean", 0.0)).collect()
        }
        "truncated_normal" => {
            op.truncated_normal(n).into_iter().map(|z| z * arg("stddev", 1.0) + arg("mean", 0.0)).collect()
        }
        other => panic!("an op the test does not know: {other}"),
    }
}

#[test]
fn tensorflow_ops() {
    let (mut ops, mut values) = (0, 0);
    for case in golden(include_str!("data/a2_tf_random.json")) {
        let graph_seed = case["graph_seed"].as_i64();
        let mut without_seed = 0;
        for record in case["ops_in_creation_order"].as_array().expect("a list") {
            let op_seed = record["args"]["seed"].as_i64().unwrap_or_else(|| {
                without_seed += 1;
                without_seed - 1
            });
            assert_eq!(record["philox_seed2"].as_i64(), Some(op_seed));
            let n = ints(&record["shape"]).iter().product::<i64>() as usize;
            let mut op = tf1::Op::new(graph_seed, op_seed);
            let exact = record["op"] == "random_uniform";
            for suffix in ["", "_run2"] {
                let digest = &record[&format!("digest{suffix}")];
                if digest.is_null() {
                    continue;
                }
                let got = run(&mut op, record, n);
                assert_eq!(got.len(), n);
                let compare = |got: &[f32], key: &str| {
                    let want = &record[key];
                    if want.is_null() {
                        return 0;
                    }
                    let want = flat(want);
                    assert_eq!(got.len(), want.len());
                    for (g, w) in got.iter().zip(&want) {
                        let off = ulps32(*g, *w as f32);
                        assert!(off <= if exact { 0 } else { 2 }, "{record}: {g} is not {w}");
                    }
                    want.len()
                };
                values += compare(&got, &format!("values{suffix}"));
                if suffix.is_empty() {
                    values += compare(&got[..n.min(32)], "first32");
                    values += compare(&got[n.saturating_sub(8)..], "last8");
                }
                if exact {
                    assert_eq!(digest["crc32_le_bytes"], crc32(&got));
                }
                let sum: f64 = got.iter().map(|x| f64::from(*x)).sum();
                let squares: f64 = got.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                assert!((sum - digest["sum_f64"].as_f64().unwrap()).abs() < 1e-3);
                assert!((squares - digest["sumsq_f64"].as_f64().unwrap()).abs() < 1e-3);
                ops += 1;
            }
        }
    }
    assert!(ops >= 17 && values >= 150, "only {ops} runs and {values} values were compared");
}

/// A stream with a graph seed counts its draws as TensorFlow counts ops without a seed of their own.
#[test]
fn tf1_streams_count_their_draws() {
    let mut stream = Stream::new(RngKind::Tf1, 42);
    stream.draw(Draw::Normal, &[3, 3]);
    let second = stream.draw(Draw::Uniform, &[3]).to_f64();
    for (g, w) in second.iter().zip([0.150_128_484, 0.639_925_361, 0.817_877_769]) {
        assert_eq!(*g, f64::from(w as f32));
    }
}

/// The values of an entry such as `rand(4,3)`, from a generator of that seed.
fn numpy_entry(name: &str, s: &mut RandomState, n: usize) -> Vec<f64> {
    let draw = |s: &mut RandomState, f: fn(&mut RandomState) -> f64, n: usize| -> Vec<f64> {
        (0..n).map(|_| f(s)).collect()
    };
    let integers = |s: &mut RandomState, lo: i64, hi: i64, n: usize| -> Vec<f64> {
        (0..n).map(|_| s.integer(lo, hi) as f64).collect()
    };
    let shuffled = |s: &mut RandomState, n: usize| -> Vec<f64> {
        s.permutation(n).into_iter().map(|i| i as f64).collect()
    };
    match name {
        "rand(4,3)" => draw(s, RandomState::uniform, 12),
        "randn(3,3)" => draw(s, RandomState::normal, 9),
        "randn(5)_odd_then_rand(1)" => {
            let mut v = draw(s, RandomState::normal, 5);
            v.extend(draw(s, RandomState::uniform, 1));
            v
        }
        "randint(0,10,size=12)" => integers(s, 0, 10, 12),
        "randint(0,1000,size=6)" => integers(s, 0, 1000, 6),
        "randint(-5,2**40,size=4)" => integers(s, -5, 1 << 40, 4),
        "permutation(10)" => shuffled(s, 10),
        "permutation(300)_first10" => shuffled(s, 300)[..10].to_vec(),
        "shuffle(arange(12))" => shuffled(s, 12),
        "shuffle(arange(12).reshape(6,2))" => {
            shuffled(s, 6).into_iter().flat_map(|r| [2.0 * r, 2.0 * r + 1.0]).collect()
        }
        "uniform(-1,1,5)" => draw(s, RandomState::uniform, 5).into_iter().map(|u| -1.0 + 2.0 * u).collect(),
        "normal(2,0.5,4)" => draw(s, RandomState::normal, 4).into_iter().map(|z| 2.0 + 0.5 * z).collect(),
        "choice(10,5,replace=False)" => shuffled(s, 10)[..5].to_vec(),
        "sequence_rand2_randn3_randint5_rand2" => {
            let mut v = draw(s, RandomState::uniform, 2);
            v.extend(draw(s, RandomState::normal, 3));
            v.extend(integers(s, 0, 5, 5));
            v.extend(draw(s, RandomState::uniform, 2));
            v
        }
        "raw_u32_first8" => (0..n).map(|_| f64::from(s.next_u32())).collect(),
        other => panic!("an entry the test does not know: {other}"),
    }
}

#[test]
fn numpy_random_state() {
    let mut compared = 0;
    for case in golden(include_str!("data/a3_numpy_randomstate.json")) {
        let seed = case["seed"].as_i64().expect("a seed");
        for (name, want) in case.as_object().expect("a case") {
            match name.as_str() {
                "seed" => continue,
                "mt_state_first4_after_seeding" => {
                    let state = Mt19937::new(seed as u32);
                    let first: Vec<i64> = state.state()[..4].iter().map(|w| i64::from(*w)).collect();
                    assert_eq!(first, ints(want));
                    continue;
                }
                _ => {}
            }
            let want = flat(want);
            let got = numpy_entry(name, &mut RandomState::new(seed), want.len());
            assert_eq!(got.len(), want.len(), "{name}");
            let allowed = if name.contains("randn") || name.contains("normal") { 2 } else { 0 };
            for (g, w) in got.iter().zip(&want) {
                assert!(ulps64(*g, *w) <= allowed, "seed {seed}, {name}: {g} is not {w}");
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "only {compared} values were compared");
}
