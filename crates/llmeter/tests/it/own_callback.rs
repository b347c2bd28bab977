//! The example of a user's own callback does what it says.

#[expect(dead_code, unreachable_pub, reason = "an example has a main function")]
#[path = "../../examples/own_callback.rs"]
mod example;

#[test]
fn the_example_counts_the_answers_with_its_word() {
    let result = example::run().unwrap();
    assert_eq!(result.stats_map()["total_requests"], 20);
    assert_eq!(result.stats_map()["contains_word_rate"], 1.0);
    assert_eq!(result.callback_errors, []);
    let description = result.summary.run_description.as_deref();
    assert_eq!(description, Some("Do answers contain \"lighthouse\"?"));
    for response in &result.responses {
        let text = response.response_text.as_deref().unwrap();
        assert!(text.contains("somethingwiththewordlighthouse"), "{text}");
        assert_eq!(response.annotations["contains_word"], 1);
        let prompt = "tell me something with the word lighthouse";
        assert_eq!(response.annotations["prompt_bytes"], prompt.len());
    }
}
