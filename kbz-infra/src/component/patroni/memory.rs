//! Memory of one PostgreSQL node, from the host's RAM and processors.
//!
//! What the node may use is the host's RAM, or a smaller [`MemoryBudget`] where hosts share a
//! machine. Of that *budget*:
//!
//! | setting | formula | at 1 / 4 / 64 GiB, 200 connections |
//! |---|---|---|
//! | `shared_buffers` | a quarter | 256 MB / 1 GB / 16 GB |
//! | `effective_cache_size` | the rest: the kernel caches the same files | 768 MB / 3 GB / 48 GB |
//! | `maintenance_work_mem` | a sixteenth, 16 MB to 2 GB | 64 MB / 256 MB / 2 GB |
//! | `autovacuum_work_mem` | a 64th, 16 to 512 MB; each worker takes one | 16 MB / 64 MB / 512 MB |
//! | `work_mem` | half of what is left, over all connections, 1 to 128 MB | 1 MB / 6 MB / 113 MB |
//!
//! `work_mem` counts half of what is left because a query may use several (a sort and a hash
//! join, and a hash takes `hash_mem_multiplier` of them). With every connection busy at once the
//! sum stays below the budget. All of it differs from host to host, hence lives in the file of
//! the node and not in the cluster's configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parameters::{AUTOVACUUM_WORKERS, Parameter, Parameters};

const MIB: u64 = 1 << 20;

/// PostgreSQL does not start properly with less, whatever the parameters.
const LEAST: u64 = 128 * MIB;

/// What a host has: probed, and a plain argument in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Bytes of RAM.
    pub ram_bytes: u64,
    /// Processors on line.
    pub cpus: u32,
}

/// How much of a host's RAM is PostgreSQL's to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryBudget {
    /// All of it: the host serves nothing else.
    #[default]
    Host,
    /// At most this many bytes: several hosts share one machine, as in the lab.
    Bytes(u64),
}

/// Why memory cannot be divided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Too little for PostgreSQL.
    #[error(
        "PostgreSQL gets {given} bytes of memory and needs {LEAST} at least; raise the memory budget or take a larger host"
    )]
    TooLittle {
        /// What there is.
        given: u64,
    },
    /// Nobody could connect.
    #[error("max_connections is 0")]
    NoConnections,
}

/// The memory settings of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The budget in bytes that the rest was divided from.
    pub budget: u64,
    /// `shared_buffers` in bytes.
    pub shared_buffers: u64,
    /// `effective_cache_size` in bytes.
    pub effective_cache_size: u64,
    /// `maintenance_work_mem` in bytes.
    pub maintenance_work_mem: u64,
    /// `autovacuum_work_mem` in bytes.
    pub autovacuum_work_mem: u64,
    /// `work_mem` in bytes.
    pub work_mem: u64,
    /// Processors to use for parallel work.
    pub cpus: u32,
}

impl Memory {
    /// Divides the memory of a host among PostgreSQL's settings.
    pub fn fit(
        facts: HostFacts,
        budget: MemoryBudget,
        max_connections: u32,
    ) -> Result<Self, MemoryError> {
        let budget = match budget {
            MemoryBudget::Host => facts.ram_bytes,
            MemoryBudget::Bytes(bytes) => bytes.min(facts.ram_bytes),
        };
        if budget < LEAST {
            return Err(MemoryError::TooLittle { given: budget });
        }
        if max_connections == 0 {
            return Err(MemoryError::NoConnections);
        }
        let shared_buffers = whole_mib(budget / 4);
        let maintenance_work_mem = whole_mib((budget / 16).clamp(16 * MIB, 2048 * MIB));
        let autovacuum_work_mem = whole_mib((budget / 64).clamp(16 * MIB, 512 * MIB));
        let left = budget.saturating_sub(
            shared_buffers
                + maintenance_work_mem
                + u64::from(AUTOVACUUM_WORKERS) * autovacuum_work_mem,
        );
        let work_mem = whole_mib(left / 2 / u64::from(max_connections)).clamp(MIB, 128 * MIB);
        Ok(Self {
            budget,
            shared_buffers,
            effective_cache_size: whole_mib(budget - shared_buffers),
            maintenance_work_mem,
            autovacuum_work_mem,
            work_mem,
            cpus: facts.cpus.max(1),
        })
    }

    /// The settings as parameters of the node.
    pub fn parameters(&self) -> Parameters {
        let per_gather = (self.cpus / 2).clamp(1, 4);
        BTreeMap::from([
            ("shared_buffers".to_owned(), megabytes(self.shared_buffers)),
            (
                "effective_cache_size".to_owned(),
                megabytes(self.effective_cache_size),
            ),
            (
                "maintenance_work_mem".to_owned(),
                megabytes(self.maintenance_work_mem),
            ),
            (
                "autovacuum_work_mem".to_owned(),
                megabytes(self.autovacuum_work_mem),
            ),
            ("work_mem".to_owned(), megabytes(self.work_mem)),
            ("max_parallel_workers".to_owned(), self.cpus.into()),
            (
                "max_parallel_workers_per_gather".to_owned(),
                per_gather.into(),
            ),
            (
                "max_parallel_maintenance_workers".to_owned(),
                per_gather.into(),
            ),
        ])
    }

    /// The size that `/dev/shm` of the container needs: parallel queries keep their hash tables
    /// there (`dynamic_shared_memory_type = posix`), and Docker's 64 MB are soon exceeded. It is
    /// a limit, not a reservation.
    pub fn shm_bytes(&self) -> u64 {
        whole_mib((self.budget / 4).max(128 * MIB))
    }
}

fn whole_mib(bytes: u64) -> u64 {
    bytes / MIB * MIB
}

fn megabytes(bytes: u64) -> Parameter {
    Parameter::Text(format!("{}MB", bytes / MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn fit(ram_bytes: u64, cpus: u32, budget: MemoryBudget) -> Memory {
        Memory::fit(HostFacts { ram_bytes, cpus }, budget, 200).unwrap()
    }

    fn in_mib(memory: &Memory) -> [u64; 5] {
        [
            memory.shared_buffers,
            memory.effective_cache_size,
            memory.maintenance_work_mem,
            memory.autovacuum_work_mem,
            memory.work_mem,
        ]
        .map(|bytes| bytes / MIB)
    }

    #[test]
    fn the_table_in_the_documentation_holds() {
        let at = |gib| in_mib(&fit(gib * GIB, 4, MemoryBudget::Host));
        assert_eq!(at(1), [256, 768, 64, 16, 1]);
        assert_eq!(at(4), [1024, 3072, 256, 64, 6]);
        assert_eq!(at(64), [16384, 49152, 2048, 512, 113]);
    }

    #[test]
    fn a_budget_caps_the_host_and_the_host_caps_the_budget() {
        let capped = fit(64 * GIB, 4, MemoryBudget::Bytes(GIB));
        assert_eq!(capped, fit(GIB, 4, MemoryBudget::Host));
        let over = fit(GIB, 4, MemoryBudget::Bytes(64 * GIB));
        assert_eq!(over, capped);
    }

    #[test]
    fn everything_busy_at_once_stays_within_the_budget() {
        for mib in [512, 1024, 3000, 4096, 65_536, 262_144] {
            for connections in [25, 100, 200] {
                let facts = HostFacts {
                    ram_bytes: mib * MIB,
                    cpus: 2,
                };
                let memory = Memory::fit(facts, MemoryBudget::Host, connections).unwrap();
                let sum = memory.shared_buffers
                    + memory.maintenance_work_mem
                    + 3 * memory.autovacuum_work_mem
                    + u64::from(connections) * memory.work_mem;
                assert!(sum <= memory.budget, "{memory:?} at {connections}");
            }
        }
    }

    #[test]
    fn too_little_is_refused() {
        let facts = HostFacts {
            ram_bytes: 64 * MIB,
            cpus: 1,
        };
        let error = Memory::fit(facts, MemoryBudget::Host, 200).unwrap_err();
        assert_eq!(error, MemoryError::TooLittle { given: 64 * MIB });
        assert_eq!(
            Memory::fit(
                HostFacts {
                    ram_bytes: GIB,
                    cpus: 1
                },
                MemoryBudget::Host,
                0
            ),
            Err(MemoryError::NoConnections)
        );
    }
}
