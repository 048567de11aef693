//! What a program is made from: its inputs.
//!
//! An inventory says which hosts there are ([`Inventory`]), a file of pins says which versions
//! run ([`Versions`]), a file of mode 600 holds the secrets ([`Credentials`]), and `kbz.toml`
//! says which of these, and which way to the hosts, an environment uses ([`Environments`]).
//! Each reader checks its whole file and reports all mistakes at once, every one with file, line,
//! column and cure ([`InputErrors`]). Reading knows no hosts and no graph, and writes nothing but
//! a credentials file that does not exist yet.

mod credentials;
mod declare;
mod environment;
mod error;
mod expand;
mod fields;
mod handle;
mod input;
mod inventory;
mod overrides;
mod scope;
mod settings;
mod stack;
mod versions;

pub use credentials::{Credentials, Login};
pub use declare::{DeclareExt, With};
pub use environment::{
    BaseImages, Bastion, Bucket, Environment, EnvironmentKind, Environments, Hetzner, Ssh,
    TokenSource,
};
pub use error::{ProgramError, Result};
pub use handle::Handle;
pub use input::InputErrors;
pub use inventory::{Host, Inventory, Role, UnknownRole};
pub use overrides::Overrides;
pub use scope::{Component, Declarable, Scope};
pub use settings::{ImageBase, Settings};
pub use stack::{Export, Program, Stack};
pub use versions::{ImagePin, PostgresVersion, Version, Versions};
