//! The guard that stops a run before it costs too much.
