//! What somebody may have meant.

use strsim::jaro_winkler;

/// The name that is most like what was written; `None` if there are no names.
pub(crate) fn nearest<T: AsRef<str>>(
    written: &str,
    names: impl IntoIterator<Item = T>,
) -> Option<T> {
    names.into_iter().max_by(|one, other| {
        let similarity = |name: &T| jaro_winkler(name.as_ref(), written);
        similarity(one).total_cmp(&similarity(other))
    })
}
