//! Secrets, which no message holds: keys of accounts, signatures, tokens, queries of signed URLs.

use object_store::{
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
};

/// What stands for a secret.
const HIDDEN: &str = "...";
/// Shorter values are no secrets, and would be found within words.
const SHORTEST: usize = 8;
/// Characters of a message at most. What is cut is cut after secrets are hidden, so that no half of one is left.
const MOST_CHARS: usize = 400;
/// Names, in lower case, whose values are secrets, in queries and headers that servers repeat.
const NAMES: [&str; 14] = [
    "x-amz-",
    "x-goog-",
    "awsaccesskeyid",
    "accesskeyid",
    "access_key",
    "credential",
    "signature",
    "sig",
    "token",
    "access_token",
    "secret",
    "authorization",
    "key-pair-id",
    "policy",
];
/// How the ids of AWS begin, and how many letters and digits they have.
const ID_BEGINS: [&str; 2] = ["AKIA", "ASIA"];
const ID_LETTERS: usize = 16;

/// The secrets of one account.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of a client for S3.
    pub(super) fn of_s3(builder: &AmazonS3Builder) -> Secrets {
        let keys = [AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::SecretAccessKey, AmazonS3ConfigKey::Token];
        Secrets::new(keys.iter().filter_map(|key| builder.get_config_value(key)))
    }

    /// Those of a client for Azure.
    pub(super) fn of_azure(builder: &MicrosoftAzureBuilder) -> Secrets {
        let keys =
            [AzureConfigKey::AccessKey, AzureConfigKey::SasKey, AzureConfigKey::ClientSecret, AzureConfigKey::Token];
        Secrets::new(keys.iter().filter_map(|key| builder.get_config_value(key)))
    }

    fn new(values: impl Iterator<Item = String>) -> Secrets {
        Secrets(values.filter(|value| value.len() >= SHORTEST).collect())
    }

    /// `text` without these secrets, and without what looks like one.
    pub(super) fn hide(&self, text: &str) -> String {
        let known = self.0.iter().fold(text.to_string(), |text, secret| text.replace(secret, HIDDEN));
        scrubbed(&known).chars().take(MOST_CHARS).collect()
    }
}

/// Without what looks like a secret: what stands behind the question mark of a URL, values of telling names, ids of AWS.
pub(super) fn scrubbed(text: &str) -> String {
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    if let Some((address, _)) = word.split_once("://").and_then(|_| word.split_once('?')) {
        return format!("{address}?{HIDDEN}");
    }
    let pairs: Vec<String> = word.split('&').map(pair).collect();
    pairs.join("&")
}

/// `name=value` or `name:value` without the value of a telling name.
fn pair(text: &str) -> String {
    if let Some(at) = text.find(['=', ':']) {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let name = text[..at].rsplit(|c| !is_part(c)).next().unwrap_or_default().to_ascii_lowercase();
        let is_telling =
            NAMES.iter().any(|known| if known.ends_with('-') { name.starts_with(known) } else { name == *known });
        if is_telling && at + 1 < text.len() {
            return format!("{}{HIDDEN}", &text[..=at]);
        }
    }
    without_ids(text)
}

fn without_ids(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = ID_BEGINS.iter().filter_map(|begin| rest.find(begin)).min() {
        let letters = rest[at..].bytes().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
        plain += &rest[..at];
        plain += if letters >= ID_LETTERS { HIDDEN } else { &rest[at..at + letters] };
        rest = &rest[at + letters..];
    }
    plain + rest
}

/// Without user and password in front of the host.
pub(super) fn without_user(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let text = "error sending request for url (https://host/key?sig=SECRET&x=1) at once";
        assert!(!scrubbed(text).contains("SECRET") && scrubbed(text).contains("https://host/key"));
        for text in [
            "the id AKIAIOSFODNN7EXAMPLE is not known",
            "(AKIAIOSFODNN7EXAMPLE)",
            "Credential=AKIAIOSFODNN7EXAMPLE/2026/us-east-1",
            "at /b/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20",
        ] {
            assert!(!scrubbed(text).contains("AKIAIOSFODNN7EXAMPLE"), "{}", scrubbed(text));
        }
        for text in
            ["a=1&Signature=SECRET&b=2", "/b/k?X-Amz-Signature=SECRET", "X-Amz-Security-Token:SECRET", "token=SECRET"]
        {
            assert!(!scrubbed(text).contains("SECRET"), "{}", scrubbed(text));
        }
        assert_eq!(scrubbed("a=1&sig=S&b=2"), "a=1&sig=...&b=2");
        let secrets = Secrets::new(["minioadmin".to_string(), "x".to_string()].into_iter());
        assert_eq!(secrets.hide("user minioadmin has no x"), "user ... has no x");
    }

    #[test]
    fn what_is_none_stays() {
        for text in ["AKIA is a prefix, and ASIAN food", "key 'a/b=c:d' at http://h:9/k", "SlowDown, try later: 3 s"] {
            assert_eq!(scrubbed(text), text);
        }
    }

    #[test]
    fn users_of_addresses() {
        assert_eq!(without_user("http://me:SECRET@host:9/a@b"), "http://host:9/a@b");
    }
}
