//! Waiting for something that may be cancelled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Waits for `work`, unless `cancel` comes first; its output is the error. If both are ready, `work`
/// counts.
///
/// A stream's reads wake its task for every token, so here `cancel` is polled only when it was
/// `cancel` that woke the task: a timer and a lock at each token would cost a worker noticeably.
pub(crate) async fn unless_cancelled<T, E>(
    work: impl Future<Output = T>,
    cancel: impl Future<Output = E>,
) -> Result<T, E> {
    let (mut work, mut cancel) = (pin!(work), pin!(cancel));
    let mut bell: Option<(Arc<CancelWaker>, Waker)> = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        let (bell, waker) = match &mut bell {
            Some(bell) if bell.0.task.will_wake(context.waker()) => bell,
            // Also when the task has moved to another waker.
            bell => {
                let new = Arc::new(CancelWaker {
                    is_woken: AtomicBool::new(true),
                    task: context.waker().clone(),
                });
                bell.insert((new.clone(), new.into()))
            }
        };
        // A load before the swap is cheaper, and the flag is always set before the wake-up.
        let is_woken = &bell.is_woken;
        if !is_woken.load(Ordering::Relaxed) || !is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        cancel
            .as_mut()
            .poll(&mut Context::from_waker(waker))
            .map(Err)
    })
    .await
}

/// Wakes the task, and remembers that it was this that did.
struct CancelWaker {
    is_woken: AtomicBool,
    task: Waker,
}

impl Wake for CancelWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn whichever_comes_first() {
        assert_eq!(unless_cancelled(ready(1), pending::<()>()).await, Ok(1));
        assert_eq!(unless_cancelled(pending::<()>(), ready(2)).await, Err(2));
        assert_eq!(unless_cancelled(ready(1), ready(2)).await, Ok(1));
    }

    #[tokio::test]
    async fn each_wakes_the_task() {
        let (send, receive) = oneshot::channel();
        let waiting = tokio::spawn(unless_cancelled(receive, pending::<()>()));
        tokio::task::yield_now().await;
        send.send(1).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(Ok(1)));

        let (send, receive) = oneshot::channel();
        let waiting = tokio::spawn(unless_cancelled(pending::<()>(), receive));
        tokio::task::yield_now().await;
        send.send(2).unwrap();
        assert_eq!(waiting.await.unwrap(), Err(Ok(2)));
    }

    #[test]
    fn cancel_is_polled_when_it_wakes_and_when_the_waker_changes() {
        let mut polls = 0;
        let inner = std::cell::RefCell::new(None::<Waker>);
        let cancel = std::future::poll_fn(|context| {
            polls += 1;
            *inner.borrow_mut() = Some(context.waker().clone());
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        });
        let mut waiting = Box::pin(unless_cancelled(pending::<()>(), cancel));
        let flag = || Arc::new(Flag(AtomicBool::new(false)));
        let (first, second) = (flag(), flag());
        let mut poll = |flag: &Arc<Flag>| {
            let waker = Waker::from(flag.clone());
            waiting.as_mut().poll(&mut Context::from_waker(&waker))
        };
        assert_eq!(poll(&first), Poll::Pending); // 1
        assert_eq!(poll(&first), Poll::Pending); // It said nothing.
        assert_eq!(poll(&second), Poll::Pending); // 2: it must learn of the new waker.
        inner.borrow().as_ref().unwrap().wake_by_ref();
        assert!(!first.0.load(Ordering::Relaxed) && second.0.load(Ordering::Relaxed));
        assert_eq!(poll(&second), Poll::Ready(Err(3)));
    }

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
