//! Costs of a request: by its tokens, or by its being sent.

use serde::{Deserialize, Deserializer, Serialize};

use super::dimension::{BillableRequest, RequestDimension, TokenPart};
use super::price::{above_zero, at_least_zero, checked};
use crate::base::error::Result;
use crate::saved::{Field, Saved, SavedObject};

/// A price for tokens, as price lists state it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenPrice {
    #[serde(deserialize_with = "price_per_million")]
    price_per_million: f64,
    #[serde(default = "super::price::one", deserialize_with = "granularity")]
    granularity: u32,
}

fn price_per_million<'de, D: Deserializer<'de>>(price: D) -> Result<f64, D::Error> {
    checked(price, |price| at_least_zero("price_per_million", price))
}

fn granularity<'de, D: Deserializer<'de>>(steps: D) -> Result<u32, D::Error> {
    checked(steps, |steps| above_zero("granularity", steps))
}

impl TokenPrice {
    fn new(price_per_million: f64, granularity: u32) -> Result<Self> {
        Ok(Self {
            price_per_million: at_least_zero("price_per_million", price_per_million)?,
            granularity: above_zero("granularity", granularity)?,
        })
    }

    fn of(&self, tokens: u64) -> f64 {
        let steps = tokens.div_ceil(u64::from(self.granularity));
        let billable = steps as f64 * f64::from(self.granularity);
        billable * self.price_per_million / 1e6
    }
}

const TOKEN_FIELDS: &[Field] = &[
    Field::new("price_per_million", "price of a million tokens"),
    Field::new(
        "granularity",
        "tokens that are billed at once, rounded up [default: 1]",
    ),
];

macro_rules! token_dimensions {
    ($($(#[$doc:meta])* $name:ident, $about:literal, $example:literal, $count:expr, $apart:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(TokenPrice);

        impl $name {
            /// A price for a million tokens, billed one by one.
            ///
            /// # Errors
            /// If the price is negative or not finite.
            pub fn new(price_per_million: f64) -> Result<Self> {
                Self::with_granularity(price_per_million, 1)
            }

            /// A price for a million tokens, billed in steps of so many, rounded up.
            ///
            /// # Errors
            /// If the price is negative or not finite, or the granularity is 0.
            pub fn with_granularity(price_per_million: f64, granularity: u32) -> Result<Self> {
                TokenPrice::new(price_per_million, granularity).map(Self)
            }
        }

        impl Saved for $name {
            const CLASS: &'static str =
                concat!("llmeter.callbacks.cost.dimensions.", stringify!($name));
            const ABOUT: &'static str = $about;
            const FIELDS: &'static [Field] = TOKEN_FIELDS;

            fn example() -> Option<Self> {
                Self::new($example).ok()
            }
        }

        impl RequestDimension for $name {
            fn saved(&self) -> Result<SavedObject> {
                SavedObject::of(self)
            }

            fn cost(&self, request: &BillableRequest<'_>) -> Option<f64> {
                let count: fn(&BillableRequest<'_>) -> Option<u64> = $count;
                count(request).map(|tokens| self.0.of(tokens))
            }

            fn prices_apart(&self) -> Option<TokenPart> {
                $apart
            }
        }
    )*};
}

token_dimensions! {
    /// A price for input tokens. Cached ones are among them unless the model also has
    /// [`CachedInputTokens`].
    InputTokens, "A price for input tokens", 3.0,
    |request| request.input_tokens, None;

    /// A price for output tokens. Reasoning is among them unless the model also has
    /// [`ReasoningTokens`].
    OutputTokens, "A price for output tokens", 15.0,
    |request| request.output_tokens, None;

    /// A price for input tokens that came from the server's cache, instead of that of
    /// [`InputTokens`].
    CachedInputTokens, "A price for cached input tokens, instead of that of InputTokens", 0.3,
    |request| request.response.num_tokens_input_cached, Some(TokenPart::CachedInput);

    /// A price for output tokens that were reasoning, instead of that of [`OutputTokens`].
    ReasoningTokens, "A price for reasoning tokens, instead of that of OutputTokens", 15.0,
    |request| request.response.num_tokens_output_reasoning, Some(TokenPart::Reasoning);
}

/// A price for each request that was sent, whether it succeeded or not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerRequest {
    #[serde(deserialize_with = "price_per_request")]
    price_per_request: f64,
}

fn price_per_request<'de, D: Deserializer<'de>>(price: D) -> Result<f64, D::Error> {
    checked(price, |price| at_least_zero("price_per_request", price))
}

impl PerRequest {
    /// A price for each request.
    ///
    /// # Errors
    /// If the price is negative or not finite.
    pub fn new(price_per_request: f64) -> Result<Self> {
        Ok(Self {
            price_per_request: at_least_zero("price_per_request", price_per_request)?,
        })
    }
}

impl Saved for PerRequest {
    const CLASS: &'static str = "llmeter.callbacks.cost.dimensions.PerRequest";
    const ABOUT: &'static str = "A price for each request that was sent";
    const FIELDS: &'static [Field] = &[Field::new("price_per_request", "price of a request")];

    fn example() -> Option<Self> {
        Self::new(0.01).ok()
    }
}

impl RequestDimension for PerRequest {
    fn saved(&self) -> Result<SavedObject> {
        SavedObject::of(self)
    }

    fn cost(&self, request: &BillableRequest<'_>) -> Option<f64> {
        let response = request.response;
        let was_sent = response.error.is_none() || response.request_time.is_some();
        Some(match was_sent {
            true => self.price_per_request,
            false => 0.0,
        })
    }
}
