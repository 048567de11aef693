use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::diag::{Renderer, Report, SourceReader};
use crate::secret::Form;

/// Stands in every password of a test; must stand in no finding.
const CANARY: &str = "Canary0123456789";

fn complete(passwords: &str) -> String {
    let line = |variable: &Variable| {
        let value = match variable.initial {
            "" => format!("{passwords}-{}", variable.name),
            initial => initial.to_owned(),
        };
        format!("{}='{value}'\n", variable.name)
    };
    variables::ALL.iter().map(line).collect()
}

/// A complete file with one line replaced.
fn with(name: &str, line: &str) -> String {
    let text = complete(CANARY);
    let start = format!("{name}=");
    let lines = text
        .lines()
        .map(|old| if old.starts_with(&start) { line } else { old });
    lines.collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Result<Credentials, InputErrors> {
    Credentials::parse("credentials/postgres.env", text)
}

fn codes(text: &str) -> Vec<String> {
    let short = |finding: &Finding| finding.code.replace("kbz::credentials::", "");
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.findings().iter().map(short).collect(),
    }
}

fn password(credentials: &Credentials, name: &str) -> String {
    let secret = credentials
        .vault()
        .resolve(&SecretRef::new(name).form(Form::Plain));
    secret.unwrap().to_string()
}

#[test]
fn a_complete_file_gives_typed_logins() {
    let credentials = parse(&complete(CANARY)).unwrap();
    assert_eq!(credentials.superuser().user, "postgres");
    assert_eq!(credentials.app().user, "kb_app");
    assert_eq!(
        credentials.app().password,
        SecretRef::new("POSTGRES_APP_PASS")
    );
    assert_eq!(credentials.database(), "keybuzz");
    assert_eq!(credentials.cluster_name(), "keybuzz-pg");
    assert_eq!(credentials.value("POSTGRES_DB"), Some("keybuzz"));
    assert_eq!(credentials.value("POSTGRES_APP_PASS"), None);
    let vault = credentials.vault();
    let mut names = vault.names();
    assert!(names.all(|name| name.contains("PASS") || name == crate::secret::Vault::STATE_KEY));
    assert_eq!(vault.names().count(), 9);
    assert!(!format!("{credentials:?}").contains("Canary"));
}

#[test]
fn values_are_read_as_every_reader_would() {
    for (line, value) in [
        ("X_PASS=abc", "abc"),
        ("  export X_PASS=abc  # comment", "abc"),
        ("X_PASS=a#b", "a#b"),
        ("X_PASS='a $b \\ \"c'", "a $b \\ \"c"),
        (r#"X_PASS="a \$b \\ \"c" # more"#, r#"a $b \ "c"#),
        ("X_PASS=a=b", "a=b"),
        ("X_PASS=a*b?c~d", "a*b?c~d"),
    ] {
        let credentials = parse(&format!("{}{line}\r\n", complete(CANARY))).unwrap();
        assert_eq!(password(&credentials, "X_PASS"), value, "{line}");
    }
}

#[test]
fn what_readers_disagree_about_is_refused() {
    for (line, code) in [
        ("X_PASS=a b", "ambiguous"),
        ("X_PASS=a$b", "ambiguous"),
        ("X_PASS=a\\b", "ambiguous"),
        ("X_PASS=a'b'", "ambiguous"),
        ("X_PASS='a'b", "ambiguous"),
        ("X_PASS='a'#b", "ambiguous"),
        ("X_PASS=\"a$b\"", "ambiguous"),
        ("X_PASS=\"a\\n\"", "ambiguous"),
        ("X_PASS=a;b", "ambiguous"),
        ("X_PASS='a", "unclosed"),
        ("X_PASS=\"a\\\"", "unclosed"),
        ("X_PASS =a", "spaces"),
        ("X_PASS= a", "spaces"),
        ("X_PASS=", "empty"),
        ("X_PASS= # nothing", "empty"),
        ("9X=a", "no-name"),
        ("X-PASS=a", "no-name"),
        ("=a", "no-name"),
        ("just words", "no-assignment"),
        ("export X_PASS", "no-assignment"),
        ("POSTGRES_DB=other", "duplicate"),
        ("X_PASS='é'", "characters"),
    ] {
        assert_eq!(
            codes(&format!("{}{line}", complete(CANARY))),
            [code],
            "{line}"
        );
    }
}

#[test]
fn values_are_checked_by_what_they_name() {
    let long = "a".repeat(64);
    for (name, value, code) in [
        ("POSTGRES_APP_USER", "Kb_App", "invalid-name"),
        ("POSTGRES_APP_USER", "kb-app", "invalid-name"),
        ("POSTGRES_APP_USER", "1kb", "invalid-name"),
        ("POSTGRES_APP_USER", "pg_app", "invalid-name"),
        ("POSTGRES_APP_USER", "replication", "invalid-name"),
        ("POSTGRES_APP_USER", "postgres", "invalid-name,same-role"),
        ("POSTGRES_APP_USER", "kb_repl", "same-role"),
        ("POSTGRES_APP_USER", &long, "invalid-name"),
        ("POSTGRES_APP_USER", "<user>", "placeholder"),
        ("POSTGRES_DB", "template1", "invalid-name"),
        ("POSTGRES_DB", "pgbouncer", "invalid-name"),
        ("PATRONI_CLUSTER_NAME", "KeyBuzz", "invalid-name"),
        ("PATRONI_REST_USER", "'a:b'", "invalid-name"),
        ("POSTGRES_APP_PASS", "<mot_de_passe_fort>", "placeholder"),
        ("POSTGRES_APP_PASS", "changeme", "placeholder"),
        ("POSTGRES_APP_PASS", "CHANGE-ME-123", "placeholder"),
        ("POSTGRES_APP_PASS", "'${PASS}'", "placeholder"),
        ("POSTGRES_APP_PASS", "xxxxxxxxxxxx", "placeholder"),
        ("POSTGRES_APP_PASS", "''", "empty"),
    ] {
        let mut found = codes(&with(name, &format!("{name}={value}")));
        found.sort();
        assert_eq!(found.join(","), code, "{name}={value}");
    }
}

#[test]
fn all_mistakes_at_once_and_no_value_in_any() {
    struct Anything;
    impl SourceReader for Anything {
        fn read(&self, _file: &str) -> Option<String> {
            Some(format!("{CANARY}\n").repeat(40))
        }
    }
    let text = format!(
        "# begin\n\
         POSTGRES_SUPERUSER='{CANARY}'\n\
         POSTGRES_SUPERPASS={CANARY} {CANARY}\n\
         POSTGRES_REPL_PASS='{CANARY}\n\
         {CANARY}\n\
         {CANARY}-{CANARY}={CANARY}\n\
         POSTGRES_APP_PASSWORD={CANARY}$\n\
         POSTGRES_APP_PAS={CANARY}\n\
         POSTGRES_DB={CANARY}é\n\
         PATRONI_CLUSTER_NAME=<{CANARY}>\n"
    );
    let errors = parse(&text).expect_err("almost every line is wrong");
    assert!(!format!("{errors:?} {errors}").contains("Canary"));
    let report = Report::from(errors);
    let drawn = Renderer::new(90).fancy(&report, &Anything);
    let every = format!(
        "{drawn}{}{}",
        Renderer::plain(&report),
        Renderer::json(&report)
    );
    assert!(!every.contains("Canary"));
    insta::assert_snapshot!(drawn);
}

#[test]
fn weak_passwords_are_warned_about() {
    let text = with("POSTGRES_APP_PASS", "POSTGRES_APP_PASS=short1");
    let text = text.replace(
        "POSTGRES_REPL_PASS='Canary0123456789-POSTGRES_REPL_PASS'",
        "POSTGRES_REPL_PASS=short1",
    );
    let credentials = parse(&text).unwrap();
    let found: Vec<_> = credentials
        .notices()
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert!(found.contains(&"POSTGRES_APP_PASS is short"), "{found:?}");
    assert!(
        found.contains(&"POSTGRES_REPL_PASS and POSTGRES_APP_PASS are the same"),
        "{found:?}"
    );
}

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("credentials/postgres.env")
    }

    fn write(&self, text: &str, mode: u32) -> PathBuf {
        let path = self.path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        set_mode(path.parent().unwrap(), 0o700);
        std::fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        path
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_made_once_for_its_owner_alone() {
    let home = Home::new();
    let path = home.path();
    assert!(Credentials::load(&path).is_err());
    let made = Credentials::load_or_generate(&path).unwrap();
    assert_eq!(made.notices()[0].code, "kbz::credentials::generated");
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(
        std::fs::read_to_string(path.parent().unwrap().join(".gitignore")).unwrap(),
        "*\n"
    );
    for name in made.vault().names() {
        let password = password(&made, name);
        assert!(password.len() >= 32 && password.chars().all(|c| c.is_ascii_alphanumeric()));
    }
    let again = Credentials::load_or_generate(&path).unwrap();
    assert!(again.notices().is_empty());
    let app = "POSTGRES_APP_PASS";
    assert_eq!(password(&again, app), password(&made, app));
    assert_ne!(password(&made, app), password(&made, "POSTGRES_SUPERPASS"));
}

#[test]
fn an_older_file_is_completed_and_kept() {
    let home = Home::new();
    let old: Vec<_> = complete(CANARY)
        .lines()
        .take(8)
        .map(str::to_owned)
        .collect();
    let old = format!("# mine\n{}", old.join("\n"));
    let path = home.write(&old, 0o600);
    assert!(Credentials::load(&path).is_err());
    let completed = Credentials::load_or_generate(&path).unwrap();
    let notices: Vec<_> = completed.notices().iter().map(|one| &one.message).collect();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].starts_with("`POSTGRES_MONITOR_USER`, `POSTGRES_MONITOR_PASS`"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&old) && mode(&path) == 0o600);
    assert!(Credentials::load(&path).unwrap().notices().is_empty());
}

#[test]
fn a_file_with_mistakes_is_not_touched() {
    let home = Home::new();
    let path = home.write("POSTGRES_DB=x\n", 0o600);
    assert!(Credentials::load_or_generate(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "POSTGRES_DB=x\n");
}

#[test]
fn a_file_that_others_reach_is_refused_with_the_cure() {
    let home = Home::new();
    for (bits, refused) in [
        (0o600, false),
        (0o400, false),
        (0o640, true),
        (0o604, true),
        (0o610, true),
    ] {
        let path = home.write(&complete(CANARY), 0o600);
        set_mode(&path, bits);
        let loaded = Credentials::load(&path);
        assert_eq!(loaded.is_err(), refused, "{bits:o}");
        if let Err(errors) = loaded {
            let help = errors.findings()[0].help.as_deref().unwrap();
            assert_eq!(help, format!("chmod 600 {}", path.display()));
        }
        set_mode(&path, 0o600);
    }
    let path = home.path();
    set_mode(path.parent().unwrap(), 0o770);
    let errors = Credentials::load(&path).unwrap_err();
    assert!(
        errors.to_string().contains("where others can replace it"),
        "{errors}"
    );
}

#[test]
fn links_and_folders_are_refused() {
    let home = Home::new();
    let real = home.write(&complete(CANARY), 0o600);
    let link = home.dir.path().join("credentials/link.env");
    symlink(&real, &link).unwrap();
    let errors = Credentials::load_or_generate(&link).unwrap_err();
    assert!(
        errors.to_string().ends_with("is a symbolic link"),
        "{errors}"
    );
    let errors = Credentials::load(real.parent().unwrap()).unwrap_err();
    assert!(errors.to_string().ends_with("is no file"), "{errors}");
}

#[test]
fn two_at_once_make_one_file() {
    let home = Home::new();
    let path = home.path();
    let password_made = || {
        password(
            &Credentials::load_or_generate(&path).unwrap(),
            "POSTGRES_APP_PASS",
        )
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(password_made)).collect();
        threads
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        all.iter().all(|one| *one == all[0]),
        "each got another password"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), lines in "([A-Z_]{1,3}=['\"\\\\$ a#]{0,6}\n){0,6}") {
        let _ = parse(&text);
        let _ = parse(&lines);
    }

    #[test]
    fn a_password_between_single_quotes_is_read_back(value in "[ -&(-~]{12,40}") {
        prop_assume!(!value.trim().is_empty());
        let text = format!("{}X_PASS='{value}'\n", complete(CANARY));
        if let Ok(credentials) = parse(&text) {
            prop_assert_eq!(password(&credentials, "X_PASS"), value);
        } else {
            prop_assert_eq!(codes(&text), ["placeholder"]);
        }
    }
}

/// A folder with an identity in it, and the place of a sealed file.
fn sealed() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let identity = identity_in(&folder, "keys.txt");
    let path = folder.path().join("credentials/postgres.env.age");
    (folder, identity, path)
}

fn identity_in(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    let key = age::x25519::Identity::generate();
    let text = format!("# mine\n{}\n", key.to_string().expose_secret());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_sealed_file_is_made_read_and_completed_and_nobody_else_can_read_it() {
    let (folder, identity, path) = sealed();
    let made = Credentials::load_or_generate_with(&path, Some(&identity)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    assert!(!String::from_utf8_lossy(&bytes).contains("POSTGRES"));
    let again = Credentials::load_or_generate_with(&path, Some(&identity)).unwrap();
    let password = |credentials: &Credentials| {
        let vault = credentials.vault();
        vault
            .resolve(&credentials.app().password)
            .unwrap()
            .to_string()
    };
    assert_eq!(password(&again), password(&made));

    let other = identity_in(&folder, "other.txt");
    let refused = Credentials::load_or_generate_with(&path, Some(&other)).unwrap_err();
    assert!(
        refused.to_string().contains("cannot be opened"),
        "{refused}"
    );
    let nothing = Credentials::load_or_generate_with(&path, None).unwrap_err();
    assert!(
        nothing.to_string().contains("nothing says with what"),
        "{nothing}"
    );
}

#[test]
fn a_sealed_file_is_for_the_recipients_beside_it_too() {
    let (folder, identity, path) = sealed();
    let other = identity_in(&folder, "other.txt");
    let text = std::fs::read_to_string(&other).unwrap();
    let key: age::x25519::Identity = text.lines().last().unwrap().parse().unwrap();
    let list = path.with_file_name("postgres.env.age.recipients");
    std::fs::create_dir_all(list.parent().unwrap()).unwrap();
    std::fs::write(&list, format!("# a colleague\n{}\n", key.to_public())).unwrap();
    Credentials::load_or_generate_with(&path, Some(&identity)).unwrap();
    Credentials::load_or_generate_with(&path, Some(&other)).unwrap();

    std::fs::remove_file(&path).unwrap();
    std::fs::write(&list, "nonsense\n").unwrap();
    let refused = Credentials::load_or_generate_with(&path, Some(&identity)).unwrap_err();
    assert!(
        refused.to_string().contains(":1 is no recipient"),
        "{refused}"
    );
}

#[test]
fn an_identity_that_others_can_read_is_refused() {
    let (_folder, identity, path) = sealed();
    std::fs::set_permissions(&identity, Permissions::from_mode(0o644)).unwrap();
    let refused = Credentials::load_or_generate_with(&path, Some(&identity)).unwrap_err();
    assert!(
        refused.to_string().contains("can be read by others"),
        "{refused}"
    );
}
