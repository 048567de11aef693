//! Where a program runs: `kbz.toml`.
//!
//! One program runs against several environments: the lab on one machine, a model of hosts, the
//! real hosts. `kbz.toml` names them and says of each which inventory, pins and credentials it
//! uses, where its state lies and which way leads to its hosts. Relative paths start from the
//! folder of the file, `~/` from the home folder that the caller passes in. The default is `lab`,
//! so that real hosts are never touched by accident, and hosts ask for confirmation unless told
//! otherwise.
//!
//! A file holds no secret: the token of the Hetzner API is named by a variable or a file.

mod section;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::InputErrors;
use super::input::{Faults, name_of, read};
use crate::diag::{Finding, SourceLocation, SourceText, did_you_mean, listed};
use section::{Bases, Section};

/// What kind of hosts an environment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnvironmentKind {
    /// Hosts made on this machine, and made again whenever needed.
    Lab,
    /// Hosts that exist.
    Hosts,
    /// A model of hosts in memory.
    Sim,
}

/// Where the base of the images comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseImages {
    /// Official images, pulled by the operator's machine.
    Official,
    /// Built from Debian packages.
    Debian {
        /// The image to build on; without one the lab's own.
        reference: Option<String>,
    },
}

/// The way to the hosts. What is not said here is taken from `ssh_config`; without one the user
/// is `root` and the port 22.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ssh {
    /// The user to log in as.
    pub user: Option<String>,
    /// The port of sshd.
    pub port: Option<u16>,
    /// The private key; without one the agent is asked.
    pub identity: Option<PathBuf>,
    /// The keys of the hosts.
    pub known_hosts: Option<PathBuf>,
    /// A configuration of OpenSSH, in which hosts and bastion are looked up by their names.
    pub ssh_config: Option<PathBuf>,
    /// The host through which the others are reached.
    pub bastion: Option<Bastion>,
}

/// The host through which the others are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bastion {
    /// Its name or address.
    pub host: String,
    /// The port of its sshd.
    pub port: Option<u16>,
    /// The user to log in as.
    pub user: Option<String>,
}

/// The Hetzner Cloud API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hetzner {
    /// Its address.
    pub api: String,
    /// Where its token is.
    pub token: TokenSource,
}

/// A bucket of an S3 store. Who may use it stands in the variables `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the names of all objects begin with. Default: nothing.
    pub prefix: String,
    /// The address of the API; without one it follows from the region.
    pub endpoint: Option<String>,
    /// The region. Default: `us-east-1`.
    pub region: String,
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In this environment variable.
    Variable(String),
    /// In this file.
    File(PathBuf),
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// What kind of hosts it has.
    pub kind: EnvironmentKind,
    /// Its inventory; without one the program's.
    pub inventory: Option<PathBuf>,
    /// Its pins; without them the program's.
    pub versions: Option<PathBuf>,
    /// Its credentials; without them the program's.
    pub credentials: Option<PathBuf>,
    /// The file of the operator's age identities, for credentials whose name ends in `.age`.
    pub age_identity: Option<PathBuf>,
    /// The folder of its state.
    pub state: PathBuf,
    /// The bucket of its state, instead of the folder.
    pub s3: Option<Bucket>,
    /// The way to its hosts; the lab and the model have their own.
    pub ssh: Option<Ssh>,
    /// The API of its load balancer; the lab and the model have their own.
    pub hetzner: Option<Hetzner>,
    /// Where the base of the images comes from.
    pub base_images: BaseImages,
    /// Bytes of memory that all hosts of a lab share.
    pub memory: Option<u64>,
    /// Parameters of PostgreSQL, over those of the program.
    pub postgresql: BTreeMap<String, String>,
    /// How long every effect on a model takes.
    pub pace: Duration,
    /// Whether changes need a typed confirmation.
    pub confirm: bool,
    /// Whether other file systems than XFS below data directories are only warned about.
    pub tolerate_other_filesystems: bool,
    /// Where the file names it.
    pub declared: SourceLocation,
}

/// All environments of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environments {
    source: String,
    default: String,
    all: BTreeMap<String, Environment>,
}

/// The environment that runs when none is named.
const DEFAULT: &str = "lab";

/// What S3 stores without regions of their own expect.
const S3_REGION: &str = "us-east-1";

const HETZNER_API: &str = "https://api.hetzner.cloud/v1";

impl Environments {
    /// Reads the file at `path`; `home` is where `~/` leads.
    #[track_caller]
    pub fn load(path: &Path, home: Option<&Path>) -> Result<Self, InputErrors> {
        let text = read(path, "the file of environments", SourceLocation::caller())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(name_of(path), &text, folder, home)
    }

    /// Reads a text; `source` names it in findings, relative paths start from `folder`.
    pub fn parse(
        source: impl Into<String>,
        text: &str,
        folder: &Path,
        home: Option<&Path>,
    ) -> Result<Self, InputErrors> {
        let source = SourceText::new(source, text);
        let mut faults = Faults::default();
        let (table, errors) = DeTable::parse_recoverable(source.text());
        for error in errors {
            let place = source.at_bytes(error.span().unwrap_or(0..0));
            let message = format!("{} is no TOML: {}", source.short_name(), error.message());
            faults.push(Finding::error("kbz::environment::no-toml", message).label(place, "here"));
        }
        faults = faults.unless_any(()).map(|()| Faults::default())?;
        let bases = Bases { folder, home };
        let mut root = Section::root(&source, bases, table.get_ref(), &mut faults);
        let default = root.string("default");
        let named = root.tables("environments");
        root.finish();
        let known: Vec<_> = named.iter().map(|(name, ..)| name.clone()).collect();
        let all = environments(&source, bases, named, &mut faults);
        let default = checked_default(&source, default, &known, &mut faults);
        faults.unless_any(Self {
            source: source.name().to_owned(),
            default,
            all,
        })
    }

    /// The name of the environment that runs when none is named.
    pub fn default_name(&self) -> &str {
        &self.default
    }

    /// The names of all environments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// The first environment of a kind, by its name.
    pub fn of_kind(&self, kind: EnvironmentKind) -> Option<&Environment> {
        self.all
            .values()
            .find(|environment| environment.kind == kind)
    }

    /// The environment of this name, or the default one.
    pub fn get(&self, name: Option<&str>) -> Result<&Environment, InputErrors> {
        let name = name.unwrap_or(&self.default);
        self.all.get(name).ok_or_else(|| {
            let known = listed(self.names());
            let help = match did_you_mean(name, self.names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {known}"),
            };
            let message = format!("{} has no environment `{name}`", self.source);
            Finding::error("kbz::environment::unknown", message)
                .help(help)
                .into()
        })
    }
}

type Named<'a> = Vec<(String, SourceLocation, &'a DeTable<'a>)>;

fn environments(
    source: &SourceText<'_>,
    bases: Bases<'_>,
    named: Named<'_>,
    faults: &mut Faults,
) -> BTreeMap<String, Environment> {
    let mut all = BTreeMap::new();
    for (name, place, table) in named {
        if crate::ident::StackName::new(name.as_str()).is_err() {
            let message = format!("`{name}` is no name for an environment");
            faults.push(
                Finding::error("kbz::environment::name", message)
                    .label(place.clone(), "")
                    .help("lower-case letters, digits and inner hyphens make one"),
            );
        }
        let path = format!("environments.{name}");
        let section = Section::new(source, bases, table, path, place.clone(), faults);
        if let Some(environment) = environment(name.clone(), place, section) {
            all.insert(name, environment);
        }
    }
    all
}

fn checked_default(
    source: &SourceText<'_>,
    given: Option<(String, SourceLocation)>,
    names: &[String],
    faults: &mut Faults,
) -> String {
    let (name, place) = given.unwrap_or_else(|| {
        let place = SourceLocation::new(source.name(), 1, 1, 1);
        (DEFAULT.to_owned(), place)
    });
    let known = || names.iter().map(String::as_str);
    if !names.contains(&name) {
        let message = format!("the default environment `{name}` is not there");
        let help = match did_you_mean(&name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write a section [environments.{name}], or name another default"),
        };
        faults.push(
            Finding::error("kbz::environment::no-default", message)
                .label(place, "")
                .help(help),
        );
    }
    name
}

fn environment(
    name: String,
    declared: SourceLocation,
    mut section: Section<'_, '_>,
) -> Option<Environment> {
    let kinds = [
        ("lab", EnvironmentKind::Lab),
        ("hosts", EnvironmentKind::Hosts),
        ("sim", EnvironmentKind::Sim),
    ];
    let kind = section.required_choice("kind", &kinds);
    let is_hosts = kind == Some(EnvironmentKind::Hosts);
    let inventory = section.path("inventory");
    let versions = section.path("versions");
    let credentials = section.path("credentials");
    let age_identity = section.path("age_identity");
    let folder = section.path("state");
    let s3 = section.section("s3").map(bucket);
    if s3.is_some() && folder.is_some() {
        section.refuse("state", "the state is in the bucket that `s3` names");
    }
    let state = folder.unwrap_or_else(|| section.resolve(".kbz"));
    let base_images = base_images(&mut section);
    let memory = section.bytes("memory");
    let postgresql = section.values("postgresql");
    let pace = section.duration("pace").unwrap_or_default();
    let confirm = section.boolean("confirm").unwrap_or(is_hosts);
    let tolerate = section
        .boolean("tolerate_other_filesystems")
        .unwrap_or(false);
    if let Some(kind) = kind {
        only_where_it_counts(kind, &mut section);
    }
    let ssh = section.section("ssh").map(ssh);
    let hetzner = section.section("hetzner").and_then(hetzner);
    section.finish();
    Some(Environment {
        name,
        kind: kind?,
        inventory,
        versions,
        credentials,
        age_identity,
        state,
        s3: s3.flatten(),
        ssh: ssh.or_else(|| is_hosts.then(Ssh::default)),
        hetzner,
        base_images,
        memory,
        postgresql,
        pace,
        confirm,
        tolerate_other_filesystems: tolerate,
        declared,
    })
}

/// Refuses what would be ignored in this kind of environment.
fn only_where_it_counts(kind: EnvironmentKind, section: &mut Section<'_, '_>) {
    let ignored: &[(&str, &str)] = match kind {
        EnvironmentKind::Hosts => &[
            ("memory", "real hosts have the memory they have"),
            ("pace", "real hosts take the time they take"),
        ],
        EnvironmentKind::Lab => &[
            ("pace", "the lab's hosts take the time they take"),
            ("ssh", "the lab makes its own way in"),
            ("hetzner", "the lab answers this API itself"),
        ],
        EnvironmentKind::Sim => &[
            ("ssh", "a model has no hosts to reach"),
            ("hetzner", "a model has no API to call"),
            ("memory", "a model needs none"),
        ],
    };
    for (key, why) in ignored {
        section.refuse(key, why);
    }
}

fn base_images(section: &mut Section<'_, '_>) -> BaseImages {
    let reference = section.string("base_image").map(|(reference, _)| reference);
    let choices = [("official", false), ("debian", true)];
    if section.choice("image_base", &choices) == Some(true) {
        return BaseImages::Debian { reference };
    }
    if reference.is_some() {
        section.refuse("base_image", "only `image_base = \"debian\"` builds on it");
    }
    BaseImages::Official
}

fn ssh(mut section: Section<'_, '_>) -> Ssh {
    let ssh = Ssh {
        user: section.string("user").map(|(user, _)| user),
        port: section.port("port"),
        identity: section.path("identity"),
        known_hosts: section.path("known_hosts"),
        ssh_config: section.path("ssh_config"),
        bastion: section.section("bastion").and_then(bastion),
    };
    section.finish();
    ssh
}

fn bastion(mut section: Section<'_, '_>) -> Option<Bastion> {
    let host = section.required_string("host");
    let port = section.port("port");
    let user = section.string("user").map(|(user, _)| user);
    section.finish();
    Some(Bastion {
        host: host?,
        port,
        user,
    })
}

fn bucket(mut section: Section<'_, '_>) -> Option<Bucket> {
    let name = section.required_string("bucket");
    let text = |given: Option<(String, SourceLocation)>| given.map(|(text, _)| text);
    let prefix = text(section.string("prefix")).unwrap_or_default();
    let region = text(section.string("region")).unwrap_or_else(|| S3_REGION.to_owned());
    let endpoint = section.string("endpoint");
    if let Some((endpoint, place)) = &endpoint {
        encrypted(&mut section, endpoint, place.clone());
    }
    section.finish();
    Some(Bucket {
        name: name?,
        prefix,
        endpoint: endpoint.map(|(endpoint, _)| endpoint),
        region,
    })
}

/// Refuses an address that a secret would be sent to without encryption.
fn encrypted(section: &mut Section<'_, '_>, address: &str, place: SourceLocation) {
    let local = address.starts_with("http://127.0.0.1:") && !address.contains('@');
    if !address.starts_with("https://") && !local {
        section.fault(
            "kbz::environment::api",
            "the API would be called without encryption".to_owned(),
            place,
            "an address begins with https://",
        );
    }
}

fn hetzner(mut section: Section<'_, '_>) -> Option<Hetzner> {
    let api = section.string("api");
    if let Some((api, place)) = &api {
        encrypted(&mut section, api, place.clone());
    }
    let variable = section.string("token_env").map(|(name, _)| name);
    let file = section.path("token_file");
    let token = match (variable, file) {
        (Some(variable), None) => Some(TokenSource::Variable(variable)),
        (None, Some(file)) => Some(TokenSource::File(file)),
        (both, _) => {
            let message = match both {
                Some(_) => "the token is named twice",
                None => "nothing says where the token is",
            };
            let place = section.place();
            let help = "give `token_env`, the name of a variable, or `token_file`, but not both";
            section.fault("kbz::environment::token", message.to_owned(), place, help);
            None
        }
    };
    section.finish();
    Some(Hetzner {
        api: api.map_or(HETZNER_API.to_owned(), |(api, _)| api),
        token: token?,
    })
}

#[cfg(test)]
mod tests;
