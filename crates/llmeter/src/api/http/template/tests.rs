//! What hostile templates cost.

use serde_json::json;

use super::*;

/// The most memory that this process had, in megabytes. Each test has a process of its own.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

fn refused(template: &str) -> String {
    match BodyTemplate::new(template) {
        Err(reason) => reason.to_string(),
        Ok(template) => {
            let payload = Payload::from_iter([("prompt".to_owned(), json!(["x", "y"]))]);
            let outcome = template.render(&variables(&payload, "m", None));
            outcome.map(|body| body.len()).unwrap_err().0
        }
    }
}

#[test]
fn nesting() {
    for opened in [
        "[", "(", "{", "-", "not ", "a.", "a~", "a|e|", "a if ", "a[", "a(",
    ] {
        let _ = refused(&format!("{{{{ {}", opened.repeat(20_000)));
        let _ = refused(&format!(
            "{{{{ {}",
            opened.repeat(bounds::MAX_CODE / opened.len() - 3)
        ));
    }
    for part in [
        "{% if a %}",
        "{% elif a %}",
        "{% for a in b %}",
        "{%set prompt=[[[prompt]]]%}",
    ] {
        let _ = refused(&format!("{{% if a %}}{}", part.repeat(20_000)));
        let repeated = part.repeat(bounds::MAX_CODE / part.len() - 8);
        let _ = refused(&format!("{{% if a %}}{repeated}"));
    }
    // As deep as can be is no failure.
    let nested = "{%set prompt=[prompt]%}".repeat(bounds::MAX_BRACKETS - 1);
    let template = BodyTemplate::new(&format!("{nested}{{{{ (prompt ~ prompt)|length }}}}"));
    let payload = Payload::from_iter([("prompt".to_owned(), json!("x"))]);
    let body = template.unwrap().render(&variables(&payload, "m", None));
    assert!(body.is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn growth() {
    let bind = |code: &str| format!("{{% set prompt = {code} %}}");
    let cases = [
        bind("prompt ~ prompt").repeat(60),
        bind("prompt + prompt").repeat(60),
        bind("[prompt, prompt]").repeat(60) + "{{ prompt }}",
        bind("[prompt, prompt]").repeat(60) + "{{ prompt ~ '' }}",
        bind("[prompt, prompt]").repeat(60) + "{{ prompt == [prompt, 1] }}",
        "{% for a in prompt recursive %}{{ loop([a, a]) }}{% endfor %}".to_owned(),
        "{{ prompt * 100000000 }}".to_owned(),
        "{{ '%900000000d' | format(1) }}".to_owned(),
        "{{ prompt | tojson(indent=1000000000) | indent(100000000) }}".to_owned(),
        "{{ prompt | batch(1000000000, 1) }}".to_owned(),
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
            .to_owned(),
        "{% for a in prompt %}".repeat(24) + &"{% endfor %}".repeat(24),
        "{% set ns = namespace(a=[]) %}".to_owned(),
        " ".repeat(bounds::MAX_TEMPLATE + 1),
    ];
    for template in cases {
        let reason = refused(&template);
        eprintln!("{reason}");
        assert!(reason.len() < 300, "{reason}");
    }
    assert!(peak_memory() < 400, "{} MB", peak_memory());
}

#[test]
fn large_payloads_are_written() {
    let image = "A".repeat(20 << 20);
    let payload = Payload::from_iter([("image".to_owned(), json!(image))]);
    for template in [
        "{{ payload }}",
        "{{ payload | tojson }}",
        r#"{{ [{"i": image}, 1, 2] }}"#,
    ] {
        let template = BodyTemplate::new(template).unwrap();
        let body = template.render(&variables(&payload, "m", None));
        assert!(body.unwrap().len() > image.len());
    }
}

#[test]
fn numbers_are_multiplied() {
    let body = |template: &str| {
        let payload = Payload::from_iter([("n".to_owned(), json!(7))]);
        let template = BodyTemplate::new(template).unwrap();
        String::from_utf8(template.render(&variables(&payload, "m", None)).unwrap()).unwrap()
    };
    assert_eq!(
        body("[{{ n | times(2) }}, {{ n | times(0.5) }}]"),
        "[14, 3.5]"
    );
    assert_eq!(
        body("{{ 9223372036854775807 | times(2) }}"),
        "1.8446744073709552e+19"
    );
    assert!(refused("{{ 'a' | times(2) }}").contains("two numbers"));
}
