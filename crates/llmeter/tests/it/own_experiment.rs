//! The example of a user's own experiment does what it says.

use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, finish, write};

#[expect(dead_code, unreachable_pub, reason = "an example has a main function")]
#[path = "../../examples/own_experiment.rs"]
mod example;

#[test]
fn the_example_finds_the_most_clients() {
    let answer = sized("200 OK", "text/event-stream", &whole_stream(&["a", "b"]));
    let server = Scripted::start(vec![vec![write(answer)]]);
    let config = server.config();
    let most = |limit| {
        let config = config.clone();
        finish(move || example::most_clients(config, limit, 6)).unwrap()
    };
    // No response is as late as that, and none as early as this.
    assert_eq!(most(1e6), Some(6));
    assert_eq!(most(0.0), None);
}
