use proptest::prelude::*;
use serde_json::json;

use super::super::LineReader;
use super::*;
use crate::InvocationResponse;
use crate::result::line_writer::response_to_json;

/// Values as they are written, and some that only a parser can tell from those.
const VALUES: [&str; 40] = [
    "null",
    "0",
    "12",
    "12.0",
    "-1",
    "007",
    "0.25",
    "1.0e-05",
    "0.05123456789012345",
    "1e400",
    "-0",
    "1.",
    "18446744073709551615",
    "18446744073709551616",
    "true",
    "NaN",
    "{}",
    "{\"a\": [1, 0.10, \"x\"]}",
    "{\"a\": 1",
    "[]",
    "[0.0123456,0.0000001,12,1234567.1234567]",
    "[0.0123456, null]",
    "[00.1]",
    "[0.1,]",
    "[1.,2]",
    "[1e-3,-0.5,NaN]",
    "[123456789.12345678,0.30000001]",
    "\"\"",
    "\"reported\"",
    "\"buffered\"",
    "\"2026-01-02T03:04:05.000001Z\"",
    "\"yesterday\"",
    "\"tab\\t \\u00e9 \\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\q\"",
    "\"a \" b\"",
    "\"raw \u{1}\"",
    "\"日本, {}\"",
    "\"timeout\"",
    "\"connect\"",
];

fn members() -> impl Strategy<Value = Vec<(String, &'static str)>> {
    let known = (0..FIELDS.len()).prop_map(|place| FIELDS[place].key.to_owned());
    let key = prop_oneof![
        8 => known,
        1 => Just(PAYLOAD_OF.to_owned()),
        1 => "[a-z\\\\é]{0,3}",
    ];
    prop::collection::vec((key, prop::sample::select(&VALUES[..])), 0..8)
}

/// The line by the plain way, if it takes it, and by the parser.
fn both_ways(line: &[u8], is_measuring: bool) -> (Option<String>, Result<String, String>) {
    let shown = |parts: LineParts| {
        let payload_of = parts.payload_of.clone();
        format!("{:?} {payload_of:?}", parts.finished())
    };
    let mut reader = LineReader {
        is_measuring,
        ..LineReader::default()
    };
    let (mut payloads, mut prompts) = (Sharing::default(), Sharing::default());
    let kept = (!is_measuring).then_some((&mut payloads, &mut prompts));
    let plain = read(line, &mut Memory::default(), kept, false);
    let parsed = reader.parse(line);
    (
        plain.map(shown),
        parsed.map(shown).map_err(|error| error.to_string()),
    )
}

proptest! {
    #[test]
    fn what_is_read_plainly_is_what_the_parser_reads(
        members in members(),
        change in prop::option::of((any::<prop::sample::Index>(), any::<Option<u8>>())),
        is_measuring: bool,
    ) {
        // The parser looks for numbers that it cannot read in one payload and then one prompt.
        let mut sent = 0;
        let is_plain = |(key, _): &(String, _)| {
            sent += usize::from(super::super::SENT.contains(&key.as_str()));
            sent < 2 || !super::super::SENT.contains(&key.as_str())
        };
        let members: Vec<String> = members
            .into_iter()
            .filter(is_plain)
            .map(|(key, value)| format!("\"{key}\": {value}"))
            .collect();
        let mut line = format!("{{{}}}\n", members.join(", ")).into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(line.len());
            match byte {
                Some(byte) => line[at] = byte,
                None => _ = line.remove(at),
            }
        }
        if let (Some(plain), parsed) = both_ways(&line, is_measuring) {
            prop_assert_eq!(Ok(plain), parsed, "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn numbers_of_few_digits_are_those_of_the_parser(number in "(0|[1-9][0-9]{0,8})(\\.[0-9]{1,8})?") {
        let text = format!("{number},");
        if let Some((value, length)) = decimal(text.as_bytes()) {
            prop_assert_eq!(length, number.len());
            prop_assert_eq!(value.to_bits(), number.parse::<f64>().unwrap().to_bits());
        } else {
            prop_assert!(number.len() > EXACT_DIGITS);
        }
    }
}

#[test]
fn lines_that_llmeter_writes_need_no_parser() {
    let mut response = InvocationResponse {
        response_text: Some("a \"quoted\" text\n".into()),
        input_payload: Some(Arc::new(
            json!({"a": ["b", 0.5]}).as_object().unwrap().clone(),
        )),
        id: Some("id".into()),
        input_prompt: Some(Arc::new("b, {\"c\": 1}".into())),
        time_to_first_token: Some(0.012_345_678_901_234_567),
        num_tokens_output: Some(3),
        request_time: datetime::from_text("2026-01-02T03:04:05Z"),
        annotations: json!({"cost": 1e-6}).as_object().unwrap().clone().into(),
        ..InvocationResponse::default()
    };
    response.detail.inter_token_latencies = vec![0.012_345_6, 1e-7, 1.0, 250.5];
    let line = response_to_json(&response);
    for is_measuring in [false, true] {
        let (plain, parsed) = both_ways(line.as_bytes(), is_measuring);
        assert_eq!(plain, parsed.ok());
    }
}

#[test]
fn a_payload_is_read_once_as_long_as_it_is_the_same() {
    let mut known = Known::<Value>::default();
    let mut sharing = Sharing::default();
    let mut take = |rest| known.take(rest, Some(&mut sharing)).unwrap();
    let (first, _) = take("{\"a\": 0.10}, ");
    let (other, _) = take("12}");
    assert_eq!(take("123}").0, Some(Arc::new(123.into())));
    assert_eq!(take("12}").0, other);
    let (again, length) = take("{\"a\": 0.10}}");
    assert_eq!(length, 11);
    assert!(Arc::ptr_eq(&first.unwrap(), &again.unwrap()));
}
