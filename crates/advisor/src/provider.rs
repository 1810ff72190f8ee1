use std::fmt;
use std::str::FromStr;

use ringfence_model::metadata::{ENDPOINTS, MetadataEndpoint};

/// A cloud provider whose metadata endpoints count: a name of the table or the beginning
/// of one, in any case (`aws`, `azure`). It means at least one endpoint: a misspelt name
/// would make all metadata look closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider(String);

impl Provider {
    /// Whether the endpoint is one of this provider's.
    #[must_use]
    pub fn serves(&self, endpoint: &MetadataEndpoint) -> bool {
        let name = endpoint.provider.to_ascii_lowercase();
        name.starts_with(&self.0)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// No provider of the table has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no metadata endpoint of `{0}` is known; the providers are {known}", known = known().join(", "))]
pub struct ParseProviderError(pub String);

impl FromStr for Provider {
    type Err = ParseProviderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let provider = Self(text.trim().to_ascii_lowercase());
        let mut secret = ENDPOINTS.iter().filter(|e| e.gives_secrets);
        if !provider.0.is_empty() && secret.any(|endpoint| provider.serves(endpoint)) {
            Ok(provider)
        } else {
            Err(ParseProviderError(text.to_owned()))
        }
    }
}

/// The shortest names that can be written, in the order of the table.
fn known() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for endpoint in ENDPOINTS.iter().filter(|e| e.gives_secrets) {
        let first = endpoint.provider.split(' ').next().unwrap_or_default();
        let name = first.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_name_of_the_table_or_the_beginning_of_one() {
        for text in ["aws", "AWS", "Azure", "google cloud", "hetzner"] {
            assert!(text.parse::<Provider>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_name_that_means_no_endpoint_is_an_error_that_lists_the_names() {
        for text in ["awz", "amazon", "", " ", "aws dns"] {
            let error = text.parse::<Provider>().unwrap_err().to_string();
            assert!(error.contains("aws, google"), "{error}");
        }
    }
}
