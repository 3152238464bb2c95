//! The files of the AWS command line: `~/.aws/credentials` and `~/.aws/config`, for what the environment does not say.

use std::{collections::HashMap, env, fs, path::PathBuf};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

/// Files larger than this are not configuration.
const FILE_LIMIT: u64 = 1 << 20;

/// What both files may say, by their own names.
const CREDENTIALS: [(&str, Key); 3] = [
    ("aws_access_key_id", Key::AccessKeyId),
    ("aws_secret_access_key", Key::SecretAccessKey),
    ("aws_session_token", Key::Token),
];
const PLACES: [(&str, Key); 2] = [("region", Key::Region), ("endpoint_url", Key::Endpoint)];

/// Adds the region, the endpoint and (unless the environment has some, or asks for none) the credentials of the profile that
/// `AWS_PROFILE` names, or of the default one.
pub(super) fn with_profile(mut builder: AmazonS3Builder) -> AmazonS3Builder {
    let profile = env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
    let config = section(file("AWS_CONFIG_FILE", "config"), &config_section(&profile));
    let mut found = section(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &profile);
    for (name, value) in config {
        found.entry(name).or_insert(value);
    }
    let mut fill = |keys: &[(&str, Key)]| {
        for (name, key) in keys {
            if let (Some(value), None) = (found.get(*name), builder.get_config_value(key)) {
                builder = std::mem::take(&mut builder).with_config(*key, value);
            }
        }
    };
    fill(&PLACES);
    if !has_credentials() {
        fill(&CREDENTIALS);
    }
    builder
}

/// Whether the environment has credentials, says where they are, or wants none.
fn has_credentials() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        .iter()
        .any(|name| env::var_os(name).is_some())
}

fn config_section(profile: &str) -> String {
    if profile == "default" { profile.into() } else { format!("profile {profile}") }
}

fn file(variable: &str, name: &str) -> String {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws").join(name));
    let Some(path) = env::var_os(variable).map(PathBuf::from).or_else(home) else { return String::new() };
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() <= FILE_LIMIT => fs::read_to_string(path).unwrap_or_default(),
        _ => String::new(),
    }
}

/// `name = value` lines below `[section]`.
fn section(text: String, section: &str) -> HashMap<String, String> {
    let header =
        |line: &str| line.strip_prefix('[').and_then(|rest| rest.split(']').next()).map(|name| name.trim().to_string());
    let mut current = None;
    let mut found = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = header(line) {
            current = Some(name);
        } else if current.as_deref() == Some(section)
            && let Some((name, value)) = line.split_once('=')
        {
            found.insert(name.trim().to_lowercase(), value.trim().to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_profiles() {
        let text = "# none\n[default]\nregion = eu-north-1\n[profile lab]\n; aws_x = 1\nREGION=us-west-2\nendpoint_url = http://a/?b=c\n";
        assert_eq!(section(text.into(), "default")["region"], "eu-north-1");
        let lab = section(text.into(), &config_section("lab"));
        assert_eq!(
            (lab["region"].as_str(), lab["endpoint_url"].as_str(), lab.len()),
            ("us-west-2", "http://a/?b=c", 2)
        );
        assert!(section("region = x\n[".into(), "default").is_empty());
    }
}
