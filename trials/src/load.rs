//! Clients that write through the pooler, and keep what was acknowledged.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::operator::Operator;

/// No id is written twice, whatever happened to the first attempt.
static NEXT: AtomicI64 = AtomicI64::new(1);

/// The pause of a client between two writes.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of the writes.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The ids of acknowledged writes.
    pub acknowledged: Vec<i64>,
    /// How many attempts failed.
    pub failed: usize,
    /// The longest time without an acknowledged write.
    pub silence: Duration,
    /// The ids of acknowledged writes that the database does not hold; known at the end.
    pub lost: Vec<i64>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "writes stopped for {:.1} s, {} acknowledged, {} attempts failed, {} lost",
            self.silence.as_secs_f64(),
            self.acknowledged.len(),
            self.failed,
            self.lost.len()
        )
    }
}

/// A client that writes all the time, each write over a connection of its own and tried anew, as
/// a client with a pool would.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<Mutex<Written>>,
    client: Option<JoinHandle<()>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Makes the table that is written to.
    pub fn prepare(operator: &Operator) {
        let table = "CREATE TABLE IF NOT EXISTS acknowledged (id bigint PRIMARY KEY)";
        operator.sql(6432, table);
    }

    /// Begins to write, and waits until `least` writes are acknowledged.
    pub fn begin(operator: &Operator, least: usize) -> Self {
        let (stop, written) = (Arc::default(), Arc::default());
        let client = Client {
            at: operator.published(6432),
            password: operator.credential("POSTGRES_APP_PASS"),
            stop: Arc::clone(&stop),
            written: Arc::clone(&written),
        };
        let load = Self {
            stop,
            written,
            client: Some(std::thread::spawn(move || client.run())),
        };
        load.until("the first writes", |now| now.acknowledged.len() >= least);
        load
    }

    /// What was written so far.
    pub fn now(&self) -> Written {
        self.written.lock().expect("no client panics").clone()
    }

    /// Measures the longest silence anew from now on.
    pub fn listen_anew(&self) {
        let mut written = self.written.lock().expect("no client panics");
        written.silence = Duration::ZERO;
    }

    /// Waits until what was written is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&Written) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.now()) {
            assert!(
                begun.elapsed() < Duration::from_mins(3),
                "{what}: in vain, {}",
                self.now()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it after some more writes, and looks whether anything acknowledged is lost.
    pub fn end(mut self, operator: &Operator) -> Written {
        let before = self.now().acknowledged.len();
        let more = |now: &Written| now.acknowledged.len() >= before + 50;
        self.until("writes afterwards", more);
        self.stop.store(true, Ordering::Relaxed);
        let client = self.client.take().expect("it ends once");
        client.join().expect("no client panics");
        let written = self.written.lock().expect("no client panics").clone();
        let lost = lost(operator, &written.acknowledged);
        Written { lost, ..written }
    }
}

/// The acknowledged writes that the database does not hold.
fn lost(operator: &Operator, acknowledged: &[i64]) -> Vec<i64> {
    let stored = operator.sql(5432, "SELECT id FROM acknowledged ORDER BY id");
    let stored: BTreeSet<i64> = stored
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let ids = acknowledged.iter().copied();
    ids.filter(|id| !stored.contains(id)).collect()
}

struct Client {
    at: SocketAddrV4,
    password: String,
    stop: Arc<AtomicBool>,
    written: Arc<Mutex<Written>>,
}

impl Client {
    fn run(&self) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            let done = runtime.block_on(self.write(id));
            let mut written = self.written.lock().expect("no reader panics");
            if done {
                written.silence = written.silence.max(last.elapsed());
                last = Instant::now();
                written.acknowledged.push(id);
            } else {
                written.failed += 1;
            }
            drop(written);
            std::thread::sleep(PAUSE);
        }
    }

    async fn write(&self, id: i64) -> bool {
        let settings = format!(
            "host={} port={} user=kb_app dbname=keybuzz password={} connect_timeout=3",
            self.at.ip(),
            self.at.port(),
            self.password
        );
        let insert = async {
            let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
            let driven = tokio::spawn(connection);
            let done = client
                .execute("INSERT INTO acknowledged VALUES ($1)", &[&id])
                .await;
            drop(client);
            driven.abort();
            done
        };
        matches!(
            tokio::time::timeout(Duration::from_secs(5), insert).await,
            Ok(Ok(1))
        )
    }
}
