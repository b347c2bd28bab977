//! The methods by which every experiment is watched and stopped.

/// Methods of an experiment with fields `observe` and `interrupt`: whom to tell at each of its runs, given what
/// the function takes, and what ends it.
macro_rules! watched_runs {
    ($(#[$observe:meta])* $($given:ty),+; $(#[$interrupt:meta])*) => {
        $(#[$observe])*
        #[must_use]
        pub fn observe(
            mut self,
            observe: impl Fn($($given),+) -> Option<Arc<dyn Observer>> + Send + Sync + 'static,
        ) -> Self {
            self.observe = Some(Arc::new(observe));
            self
        }

        $crate::experiment::watched::interruptible!($(#[$interrupt])*);
    };
}

/// Those of an experiment of one run, with fields `observer` and `interrupt`.
macro_rules! watched_run {
    ($(#[$interrupt:meta])*) => {
        /// Tells `observer` how the run goes on.
        #[must_use]
        pub fn observe(mut self, observer: Arc<dyn Observer>) -> Self {
            self.observer = Some(observer);
            self
        }

        $crate::experiment::watched::interruptible!($(#[$interrupt])*);
    };
}

macro_rules! interruptible {
    ($(#[$interrupt:meta])*) => {
        $(#[$interrupt])*
        #[must_use]
        pub fn interrupted_by(mut self, interrupt: Interrupt) -> Self {
            self.interrupt = interrupt;
            self
        }
    };
}

pub(super) use {interruptible, watched_run, watched_runs};
