//! Every API keeps the same rules, over real sockets and scripted bytes.

#[cfg(feature = "aws")]
mod aws;
#[path = "../scripted/mod.rs"]
mod scripted;
