//! Structures that a server could send, read as answers and as messages.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use redis::Value;

fuzz_target!(|bytes: &[u8]| {
    // Too little input for a structure is not a finding.
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let questions: Vec<u8> = (0..input.int_in_range(0..=3)?)
        .map(|_| input.arbitrary())
        .collect::<Result<_>>()?;
    let answer = if input.arbitrary()? {
        let mut parts = vec![word(input)?];
        for _ in &questions {
            parts.push(value(input, 1)?);
        }
        Value::Array(parts)
    } else {
        value(input, 3)?
    };
    lockattr::fuzzing::batch(&questions, &answer);
    let answers: Vec<Value> = (0..input.int_in_range(0..=12)?)
        .map(|_| value(input, 1))
        .collect::<Result<_>>()?;
    lockattr::fuzzing::life(&answers);
    Ok(())
}

fn value(input: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    Ok(match input.int_in_range(0..=9)? {
        0..=4 => word(input)?,
        5 => Value::BulkString(input.arbitrary()?),
        6 => Value::Int(input.arbitrary()?),
        7 => Value::SimpleString(input.arbitrary()?),
        8 if depth > 0 => Value::Array(
            (0..input.int_in_range(0..=4)?)
                .map(|_| value(input, depth - 1))
                .collect::<Result<_>>()?,
        ),
        8 => Value::Okay,
        _ => Value::Nil,
    })
}

/// Makes a text from the parts that answers and messages consist of.
fn word(input: &mut Unstructured<'_>) -> Result<Value> {
    const OURS: &str = "1:abababababababababababababababab-1-0";
    let mut text = String::new();
    for _ in 0..input.int_in_range(1..=11)? {
        match input.int_in_range(0..=9)? {
            0 => text.push_str(["g", "h", "e", "t", "n", "d", "k0", "k1"][input.choose_index(8)?]),
            1..=4 => text.push(':'),
            5 => text.push_str(&input.arbitrary::<u64>()?.to_string()),
            6 => text.push_str(&input.arbitrary::<u8>()?.to_string()),
            7 => text.push_str(
                ["-1", "+1", "1e15", "0", "18446744073709551615"][input.choose_index(5)?],
            ),
            8 => text.push_str(OURS),
            _ => text.push(input.arbitrary()?),
        }
    }
    Ok(Value::BulkString(text.into_bytes()))
}
