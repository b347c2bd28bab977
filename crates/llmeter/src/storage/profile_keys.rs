//! The credentials of S3 in a build without the AWS tools' chain: the keys of the profile.

use object_store::aws::AmazonS3Builder;

use super::buckets::Hide;
use crate::aws::Profile;

/// The builder, with the keys of the profile if it has some, which the builder tells of itself.
pub(super) fn with_found(
    builder: AmazonS3Builder,
    profile: &Profile,
) -> (AmazonS3Builder, Option<Hide>) {
    let (Some(id), Some(secret)) = (
        profile.get("aws_access_key_id"),
        profile.get("aws_secret_access_key"),
    ) else {
        return (builder, None);
    };
    let builder = builder
        .with_access_key_id(id)
        .with_secret_access_key(secret);
    let builder = match profile.get("aws_session_token") {
        Some(token) => builder.with_token(token),
        None => builder,
    };
    (builder, None)
}
