//! Where workers wait for each other before the run proper.

use std::sync::Arc;

use tokio::sync::watch;

/// Opens when every pass is handed in. A pass that is dropped counts as handed in, so that a
/// worker that dies cannot hold up the others.
#[derive(Debug, Clone)]
pub(crate) struct StartBarrier {
    missing: Arc<watch::Sender<usize>>,
}

/// One worker's part in opening the gate.
#[derive(Debug)]
pub(crate) struct BarrierPass {
    missing: Arc<watch::Sender<usize>>,
}

impl StartBarrier {
    /// A gate, and the passes that open it.
    pub(crate) fn new(passes: usize) -> (Self, Vec<BarrierPass>) {
        let missing = Arc::new(watch::Sender::new(passes));
        let pass = |_| BarrierPass {
            missing: missing.clone(),
        };
        let passes = (0..passes).map(pass).collect();
        (Self { missing }, passes)
    }

    /// Hands in a pass and waits for all others.
    pub(crate) async fn wait(&self, pass: BarrierPass) {
        let mut missing = self.missing.subscribe();
        drop(pass);
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = missing.wait_for(|missing| *missing == 0).await;
    }
}

impl Drop for BarrierPass {
    fn drop(&mut self) {
        self.missing.send_if_modified(|missing| {
            *missing -= 1;
            *missing == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn opens_with_the_last_pass_even_if_that_is_dropped() {
        let (gate, mut passes) = StartBarrier::new(3);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(gate.wait(passes.remove(0)));
        let mut second = pin!(gate.wait(passes.remove(0)));
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        drop(passes);
        assert_eq!(first.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
