use proptest::prelude::*;

use super::*;
use crate::diag::{Renderer, Report, SourceReader};

struct Text<'a>(&'a str);

impl SourceReader for Text<'_> {
    fn read(&self, file: &str) -> Option<String> {
        (file == "kbz.toml").then(|| self.0.to_owned())
    }
}

fn parse(text: &str) -> Result<Environments, InputErrors> {
    Environments::parse(
        "kbz.toml",
        text,
        Path::new("/p"),
        Some(Path::new("/home/op")),
    )
}

const PRODUCTION: &str = r#"
default = "production"

[environments.production]
kind = "hosts"
inventory = "servers.tsv"
credentials = "credentials/postgres.env"
ssh = { user = "deploy", identity = "~/.ssh/id_ed25519", bastion = { host = "bastion.example", port = 2222 } }

[environments.production.hetzner]
token_env = "HCLOUD_TOKEN"
"#;

#[test]
fn an_environment_is_read_with_its_defaults() {
    let environments = parse(PRODUCTION).unwrap();
    let production = environments.get(None).unwrap();
    assert_eq!(production.kind, EnvironmentKind::Hosts);
    assert_eq!(
        production.inventory.as_deref(),
        Some(Path::new("/p/servers.tsv"))
    );
    assert_eq!(production.versions, None);
    assert_eq!(production.state, Path::new("/p/.kbz"));
    assert!(production.confirm);
    assert_eq!(production.base_images, BaseImages::Official);
    let ssh = production.ssh.as_ref().unwrap();
    assert_eq!((ssh.user.as_deref(), ssh.port), (Some("deploy"), None));
    assert_eq!(
        ssh.identity.as_deref(),
        Some(Path::new("/home/op/.ssh/id_ed25519"))
    );
    let bastion = ssh.bastion.as_ref().unwrap();
    assert_eq!(
        (bastion.host.as_str(), bastion.port, bastion.user.as_deref()),
        ("bastion.example", Some(2222), None)
    );
    let hetzner = production.hetzner.as_ref().unwrap();
    assert_eq!(hetzner.api, "https://api.hetzner.cloud/v1");
    assert_eq!(
        hetzner.token,
        TokenSource::Variable("HCLOUD_TOKEN".to_owned())
    );
    assert_eq!(
        (production.declared.line, production.declared.column),
        (4, 15)
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = r#"defalt = "lab"

[environments.lab]
kind = "labb"
memory = "6 gigs"
confirm = "no"

[environments.real]
inventry = "servers.tsv"
ssh = { port = 70000, bastion = { user = "x" } }

[environments.other]
kind = "lab"
state = "s3://bucket/x"
base_image = "debian:x"
ssh = { user = "x" }

[environments.third]
kind = "hosts"
memory = "1GiB"
hetzner = { api = "http://api.example", token_env = "A", token_file = "b" }
"#;
    let errors = parse(text).expect_err("almost every line is wrong");
    insta::assert_snapshot!(Renderer::new(90).fancy(&Report::from(errors), &Text(text)));
}

#[test]
fn broken_toml_says_where() {
    let text = "[environments.lab]\nkind = lab\nx = \n";
    let errors = parse(text).expect_err("this is no TOML");
    insta::assert_snapshot!(Renderer::plain(&Report::from(errors)));
}

#[test]
fn an_unknown_environment_says_which_there_are() {
    let environments = parse(PRODUCTION).unwrap();
    let errors = environments.get(Some("prodution")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "kbz.toml has no environment `prodution`"
    );
    assert_eq!(
        errors.findings()[0].help.as_deref(),
        Some("did you mean `production`?")
    );
}

#[test]
fn a_home_folder_must_be_there_when_it_is_needed() {
    let errors = Environments::parse("kbz.toml", PRODUCTION, Path::new("/p"), None).unwrap_err();
    assert!(
        errors.to_string().contains("starts from a home folder"),
        "{errors}"
    );
}

#[test]
fn amounts_of_memory() {
    for (text, amount) in [
        ("6GiB", Some(6 << 30)),
        ("512 MiB", Some(512 << 20)),
        ("6GB", None),
        ("0GiB", None),
        ("GiB", None),
        ("6", None),
        ("99999999999999GiB", None),
    ] {
        let text = format!("[environments.lab]\nkind = \"lab\"\nmemory = \"{text}\"\n");
        let found = parse(&text)
            .ok()
            .and_then(|all| all.get(None).unwrap().memory);
        assert_eq!(found, amount, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), lines in "(\\[?[a-z.]{0,12}\\]?[ ={}\"a1]{0,8}\n){0,6}") {
        let _ = parse(&text);
        let _ = parse(&lines);
    }
}

#[test]
fn state_in_a_bucket_and_encrypted_credentials() {
    let text = r#"
[environments.lab]
kind = "sim"

[environments.team]
kind = "hosts"
credentials = "credentials/postgres.env.age"
age_identity = "~/keys.txt"

[environments.team.s3]
bucket = "state"
endpoint = "http://127.0.0.1:9000"
"#;
    let environments = parse(text).unwrap();
    let team = environments.get(Some("team")).unwrap();
    assert_eq!(
        team.age_identity.as_deref(),
        Some(Path::new("/home/op/keys.txt"))
    );
    let bucket = team.s3.as_ref().unwrap();
    assert_eq!(
        (bucket.name.as_str(), bucket.prefix.as_str()),
        ("state", "")
    );
    assert_eq!(bucket.region, "us-east-1");

    let wrong = text.replace("kind = \"hosts\"\n", "kind = \"hosts\"\nstate = \".kbz\"\n");
    let wrong = wrong.replace("http://127.0.0.1:9000", "http://store.example");
    let wrong = wrong.replace("bucket =", "bukcet =");
    let errors = parse(&wrong).unwrap_err();
    let said: Vec<&str> = errors
        .findings()
        .iter()
        .map(|f| f.message.as_str())
        .collect();
    assert_eq!(said.len(), 4, "{said:#?}");
}
