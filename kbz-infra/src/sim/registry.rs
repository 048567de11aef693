//! The registry of one stack on a modelled host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refusal::moved;
use crate::effect::EffectError;
use crate::effect::Record;
use crate::ident::{HostName, Urn};
use crate::probe::{Entry, RegistryReading, StampReading};
use crate::secret::KeyedHash;

/// What a stack has noted on a host, as it is read there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Registry {
    #[serde(rename = "records", with = "records")]
    noted: BTreeMap<Urn, Entry>,
    stamps: BTreeMap<String, KeyedHash>,
    /// Ids of users inside images, by `REFERENCE USER`.
    users: BTreeMap<String, (u32, u32)>,
    newest_run: u64,
    /// Who runs. In the model it does not end by itself: no time passes there.
    #[serde(default)]
    lease: Option<String>,
}

impl Registry {
    pub(super) fn records(&self) -> RegistryReading {
        RegistryReading(self.noted.values().cloned().collect())
    }

    /// The addresses of what is noted.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Urn> {
        self.noted.keys()
    }

    /// The objects and stamps that are noted, in words.
    pub(super) fn traces(&self) -> impl Iterator<Item = String> {
        let marks = self.noted.keys().map(|urn| format!("mark {urn}"));
        let stamps = self.stamps.keys().map(|name| format!("stamp {name}"));
        marks.chain(stamps)
    }

    pub(super) fn stamp(&self, name: &str) -> StampReading {
        StampReading(self.stamps.get(name).cloned())
    }

    pub(super) fn user(&self, reference: &str, user: &str) -> Option<(u32, u32)> {
        self.users.get(&format!("{reference} {user}")).copied()
    }

    pub(super) fn note_user(&mut self, reference: &str, user: &str, ids: (u32, u32)) {
        self.users.insert(format!("{reference} {user}"), ids);
    }

    pub(super) fn set_stamp(&mut self, name: &str, value: KeyedHash) {
        self.stamps.insert(name.to_owned(), value);
    }

    pub(super) fn remove_stamp(&mut self, name: &str) {
        self.stamps.remove(name);
    }

    pub(super) fn mark(&mut self, record: &Record) {
        self.noted.insert(record.urn.clone(), record.into());
    }

    pub(super) fn unmark(&mut self, urn: &Urn) {
        self.noted.remove(urn);
    }

    /// Takes the lease for a run, unless somebody else holds it.
    pub(super) fn take_lease(
        &mut self,
        host: &HostName,
        run: u64,
        holder: &str,
    ) -> Result<(), EffectError> {
        match &self.lease {
            Some(found) if found != holder => Err(EffectError::Held {
                site: host.to_string(),
                by: found.clone(),
            }),
            Some(_) | None => {
                self.fence(host, run)?;
                self.lease = Some(holder.to_owned());
                Ok(())
            }
        }
    }

    /// Renews the lease of a run. No time passes here, so there is only the refusal of an older run.
    pub(super) fn renew_lease(&self, host: &HostName, run: u64) -> Result<(), EffectError> {
        self.refuse_older(host, run)
    }

    /// Gives the lease back, if it is the holder's.
    pub(super) fn give_lease_back(&mut self, holder: &str) {
        self.lease.take_if(|found| found == holder);
    }

    /// The number of the newest run that has changed the host.
    pub(super) fn newest_run(&self) -> u64 {
        self.newest_run
    }

    /// Refuses a run that is older than one that has changed the host, and notes it otherwise.
    pub(super) fn fence(&mut self, host: &HostName, run: u64) -> Result<(), EffectError> {
        self.refuse_older(host, run)?;
        self.newest_run = run;
        Ok(())
    }

    fn refuse_older(&self, host: &HostName, run: u64) -> Result<(), EffectError> {
        if self.newest_run > run {
            let newest = self.newest_run;
            let found = format!("run {newest} has changed it, a newer run than this one");
            return Err(moved(host.to_string(), found));
        }
        Ok(())
    }
}

/// Keeps what is noted as the records that it was made of.
mod records {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::effect::Record;
    use crate::ident::Urn;
    use crate::probe::Entry;

    type Noted = BTreeMap<Urn, Entry>;

    pub(super) fn serialize<S: Serializer>(
        noted: &Noted,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let record = |(urn, entry)| Ok((urn, Record::try_from(entry)?));
        let records: Result<Vec<_>, serde_json::Error> = noted.iter().map(record).collect();
        serializer.collect_map(records.map_err(serde::ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Noted, D::Error> {
        let records = BTreeMap::<Urn, Record>::deserialize(deserializer)?;
        let noted = records.into_iter();
        Ok(noted
            .map(|(urn, record)| (urn, Entry::from(&record)))
            .collect())
    }
}
