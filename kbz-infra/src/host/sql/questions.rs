//! Roles, databases and extensions: one statement per kind, one connection per database. What belongs
//! to the whole cluster is asked in the first of them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, try_join, try_join_all, try_join4};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connection::{COMMON, Connection, SqlError, connect, limited};
use crate::host::pool::Hosts;
use crate::probe::{
    ContextsReading, Database, DatabaseReading, ExtensionReading, MarkedReading, PgAccess, Query,
    Reading, Role, RoleReading,
};
use crate::secret::Vault;

/// Names mean what PostgreSQL itself means by them: whoever may create something in a database must
/// not choose what a superuser calls there.
const CATALOG: &str = "-c search_path=pg_catalog";

const ROLES: &str = "SELECT rolname::text, rolcanlogin, rolsuper, rolreplication, rolcreatedb, \
     rolcreaterole, rolpassword, \
     ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m \
       JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1), \
     shobj_description(r.oid, 'pg_authid') \
     FROM pg_authid r WHERE rolname::text = ANY($1)";

const DATABASES: &str = "SELECT datname::text, pg_get_userbyid(datdba)::text, \
     pg_encoding_to_char(encoding)::text, \
     EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a \
       WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT'), \
     shobj_description(oid, 'pg_database') \
     FROM pg_database WHERE datname::text = ANY($1)";

const EXTENSIONS: &str = "SELECT e.extname::text, e.extversion, n.nspname::text, a.default_version \
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
     LEFT JOIN pg_available_extensions a ON a.name = e.extname \
     WHERE e.extname::text = ANY($1)";

const CONTEXTS: &str = "SELECT name::text, context::text FROM pg_settings";

const MARKED: &str = "SELECT shobj_description(oid, 'pg_authid'), true, rolname::text \
     FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = ANY($1) \
     UNION ALL SELECT shobj_description(oid, 'pg_database'), false, datname::text \
     FROM pg_database WHERE shobj_description(oid, 'pg_database') = ANY($1) ORDER BY 1, 2, 3";

/// What is asked of a server.
#[derive(Debug, Default)]
struct Asked {
    roles: BTreeSet<String>,
    databases: BTreeSet<String>,
    /// Extensions by database.
    extensions: BTreeMap<String, BTreeSet<String>>,
    contexts: bool,
    marks: BTreeSet<String>,
}

/// What a server said; what is missing does not exist.
#[derive(Debug, Default)]
struct Said {
    roles: BTreeMap<String, RoleReading>,
    databases: BTreeMap<String, DatabaseReading>,
    extensions: BTreeMap<(String, String), ExtensionReading>,
    contexts: BTreeMap<String, String>,
    /// Objects by their mark.
    marked: BTreeMap<String, Vec<Query>>,
}

/// Answers all queries in their order, or says why the server gave no answer.
pub(in crate::host) async fn read(
    hosts: &Hosts,
    access: &PgAccess,
    vault: &Vault,
    queries: &[&Query],
) -> Result<Vec<Reading>, SqlError> {
    let mut asked = Asked::default();
    for query in queries {
        asked.add(query).map_err(SqlError::Lost)?;
    }
    let way = Way {
        hosts,
        access,
        vault,
    };
    // Roles and databases are the same in every database: the first that is asked of its extensions
    // is asked of them too.
    let mut databases = asked.extensions.iter();
    let first = databases.next();
    let inside = databases.map(|(database, names)| async move {
        match way.into_database(database).await? {
            Some(connection) => extensions(&connection, database, names).await,
            None => Ok(Vec::new()),
        }
    });
    let (first, inside) = join(way.first(&asked, first), try_join_all(inside)).await;
    let mut said = first?;
    said.extensions.extend(inside?.into_iter().flatten());
    Ok(queries
        .iter()
        .filter_map(|query| said.answer(query))
        .collect())
}

impl Asked {
    fn add(&mut self, query: &Query) -> Result<(), String> {
        match query {
            Query::Role(query) => drop(self.roles.insert(query.name.clone())),
            Query::Database(query) => drop(self.databases.insert(query.name.clone())),
            Query::Extension(query) => {
                let names = self.extensions.entry(query.database.clone()).or_default();
                names.insert(query.name.clone());
            }
            Query::Contexts(_) => self.contexts = true,
            Query::Marked(query) => drop(self.marks.insert(query.mark.clone())),
            other => return Err(format!("a PostgreSQL server cannot be asked {other:?}")),
        }
        Ok(())
    }
}

impl Said {
    fn answer(&self, query: &Query) -> Option<Reading> {
        match query {
            Query::Role(query) => {
                let found = self.roles.get(&query.name).cloned();
                Some(found.unwrap_or(RoleReading::Absent).into())
            }
            Query::Database(query) => {
                let found = self.databases.get(&query.name).cloned();
                Some(found.unwrap_or(DatabaseReading::Absent).into())
            }
            Query::Extension(query) => {
                let key = (query.database.clone(), query.name.clone());
                let found = self.extensions.get(&key).cloned();
                Some(found.unwrap_or(ExtensionReading::Absent).into())
            }
            Query::Contexts(_) => Some(ContextsReading(self.contexts.clone()).into()),
            Query::Marked(query) => {
                let found = self.marked.get(&query.mark).cloned();
                Some(MarkedReading(found.unwrap_or_default()).into())
            }
            _ => None,
        }
    }
}

impl Asked {
    /// Whether nothing is asked that belongs to the whole cluster.
    fn is_within_databases(&self) -> bool {
        let common = [&self.roles, &self.databases, &self.marks];
        common.iter().all(|names| names.is_empty()) && !self.contexts
    }
}

/// The way to a server.
#[derive(Clone, Copy)]
struct Way<'a> {
    hosts: &'a Hosts,
    access: &'a PgAccess,
    vault: &'a Vault,
}

impl Way<'_> {
    async fn connect(self, database: &str) -> Result<Connection, SqlError> {
        let options = Some(CATALOG);
        connect(self.hosts, self.access, self.vault, database, options).await
    }

    /// A connection to a database, where there is one of this name.
    async fn into_database(self, database: &str) -> Result<Option<Connection>, SqlError> {
        match self.connect(database).await {
            Ok(connection) => Ok(Some(connection)),
            Err(error) if error.no_database() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What belongs to the whole cluster, and the extensions of the first database.
    async fn first(
        self,
        asked: &Asked,
        database: Option<(&String, &BTreeSet<String>)>,
    ) -> Result<Said, SqlError> {
        if let Some((database, names)) = database
            && let Some(connection) = self.into_database(database).await?
        {
            let found = extensions(&connection, database, names);
            let (said, found) = try_join(common(&connection, asked), found).await?;
            return Ok(Said {
                extensions: found.into_iter().collect(),
                ..said
            });
        }
        if asked.is_within_databases() {
            return Ok(Said::default());
        }
        common(&self.connect(COMMON).await?, asked).await
    }
}

/// What belongs to the whole cluster: roles, databases, marks and parameters, all asked at once.
async fn common(connection: &Connection, asked: &Asked) -> Result<Said, SqlError> {
    if asked.is_within_databases() {
        return Ok(Said::default());
    }
    let contexts = async {
        if asked.contexts {
            limited(connection.client.query_typed(CONTEXTS, &[])).await
        } else {
            Ok(Vec::new())
        }
    };
    let (roles, databases, contexts, marked) = try_join4(
        about(connection, ROLES, &asked.roles),
        about(connection, DATABASES, &asked.databases),
        contexts,
        about(connection, MARKED, &asked.marks),
    )
    .await?;
    Ok(Said {
        roles: named(&roles, role)?,
        databases: named(&databases, database)?,
        extensions: BTreeMap::new(),
        contexts: named(&contexts, |row| row.try_get(1))?,
        marked: by_mark(&marked).map_err(|error| SqlError::of(&error))?,
    })
}

/// Marked roles and databases by their mark.
fn by_mark(rows: &[Row]) -> Result<BTreeMap<String, Vec<Query>>, tokio_postgres::Error> {
    let mut marked: BTreeMap<String, Vec<Query>> = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get(2)?;
        let object = if row.try_get(1)? {
            Role { name }.into()
        } else {
            Database { name }.into()
        };
        marked.entry(row.try_get(0)?).or_default().push(object);
    }
    Ok(marked)
}

/// The extensions of the database that a connection is in.
async fn extensions(
    connection: &Connection,
    database: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<((String, String), ExtensionReading)>, SqlError> {
    let rows = about(connection, EXTENSIONS, names).await?;
    let found = named(&rows, extension)?.into_iter();
    Ok(found
        .map(|(name, reading)| ((database.to_owned(), name), reading))
        .collect())
}

/// The rows of a question about `names`, in one round trip; nobody is asked about nothing.
async fn about(
    connection: &Connection,
    question: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<Row>, SqlError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&String> = names.iter().collect();
    let names = [(&names as &(dyn ToSql + Sync), Type::TEXT_ARRAY)];
    limited(connection.client.query_typed(question, &names)).await
}

/// Rows by their first column.
fn named<T>(
    rows: &[Row],
    read: fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<BTreeMap<String, T>, SqlError> {
    let one = |row: &Row| Ok((row.try_get::<_, String>(0)?, read(row)?));
    let read: Result<_, tokio_postgres::Error> = rows.iter().map(one).collect();
    read.map_err(|error| SqlError::of(&error))
}

fn role(row: &Row) -> Result<RoleReading, tokio_postgres::Error> {
    Ok(RoleReading::Present {
        login: row.try_get(1)?,
        superuser: row.try_get(2)?,
        replication: row.try_get(3)?,
        create_db: row.try_get(4)?,
        create_role: row.try_get(5)?,
        verifier: row.try_get(6)?,
        member_of: row.try_get(7)?,
        comment: row.try_get(8)?,
    })
}

fn database(row: &Row) -> Result<DatabaseReading, tokio_postgres::Error> {
    Ok(DatabaseReading::Present {
        owner: row.try_get(1)?,
        encoding: row.try_get(2)?,
        public_connect: row.try_get(3)?,
        comment: row.try_get(4)?,
    })
}

fn extension(row: &Row) -> Result<ExtensionReading, tokio_postgres::Error> {
    Ok(ExtensionReading::Present {
        version: row.try_get(1)?,
        schema: row.try_get(2)?,
        available: row.try_get(3)?,
    })
}
