//! The mistakes of the sources, put into programs: each is refused, or warned about where it
//! works after a fashion, before anything is observed; with the line of the declaration and a
//! cure. What a user sees is held in `snapshots/mistakes/`.
//!
//! | in the sources | here | code |
//! |---|---|---|
//! | `server db1 10.0.0.120:8008 check` | `ways::sql_sent_to_the_rest_port` | `kbz::port::not-for-clients`, `kbz::check::blind` |
//! | a check of the port that is served | `ways::a_check_of_the_served_port` | `kbz::check::wrong-port` |
//! | `backup` on db2 and db3 | `ways::backups_in_a_configuration_by_hand` (1) | `kbz::check::backup` |
//! | `GET /master` | `ways::the_old_name_of_the_primary`, and by hand | `kbz::check::renamed` (warning) |
//! | 5432 → HAProxy → PgBouncer → 10.0.0.10:5432 | `ways::pgbouncer_behind_the_entry_that_leads_to_it` | `kbz::topology::loop` |
//! | HAProxy and PgBouncer on 6432 of one host | `ways::haproxy_and_pgbouncer_on_one_port` | `kbz::port::clash` |
//! | containers publish ports | `compile/containers_publish_ports.rs` (2) | no such method |
//! | `FROM postgres:16.4-alpine`, then `apt-get` | `images::apt_on_alpine`; as a pin in `inputs` | `kbz::image::no-apt`, `kbz::versions::postgres` |
//! | `patroni[raft]==3.3.0`, an old pysyncobj | `images::a_patroni_of_old`, `images::a_raft_that_forgets_its_votes`; as pins in `inputs` | `kbz::patroni::image`, `kbz::versions::too-old` |
//! | UID 999 | `containers::an_owner_by_number` | `kbz::owner::number` |
//! | two data paths | `containers::a_second_place_for_the_data` | `kbz::data::unused` (warning) |
//! | a unit for some containers, none for others | `containers::a_container_that_nobody_starts` (3) | `kbz::container::nobody-starts` |
//! | secrets with `-e` or as arguments | `containers::secrets_in_environment_and_arguments`; a reference does not compile (`compile/secrets_in_an_environment.rs`) | `kbz::secret::clear-text` |
//! | the application as superuser, also in tests | `names::the_superuser_…` | `kbz::role::superuser` |
//! | XFS where no data is kept | `containers::a_file_system_for_data_that_is_not_there` | `kbz::data::unused` (warning) |
//! | a file mounted by itself | `containers::a_configuration_that_is_mounted_as_a_file` | `kbz::container::file-mount` |
//! | containers with Docker's defaults | `containers::a_database_under_the_limits_of_its_engine` | `kbz::container::defaults` (warning) |
//!
//! The rules that stand beside the table: `latest` (`images`, `inputs`), a node behind the load
//! balancer or where its address belongs (`ways`, `names`), HAProxy on the balancer's address
//! (`ways`), databases and MinIO in the open, ports in use without a rule (`exposure`), numbers
//! of voters (`voters`, and `compile/even_voters.rs`).
//!
//! What cannot be put into a program:
//! 1. A frontend has no word for `backup`: its servers are equal. It can be written by hand, in a
//!    file of one's own, and that is what the test does.
//! 2. A container has the network of its host and publishes nothing: there is nothing to call.
//! 3. Who supervises a container is a choice (Docker's restart policy or a unit). The mistake is
//!    to choose a unit and to declare none.
//! 4. `/mnt/postgres-data` as the data path of a `PatroniNode`: the path is a constant.
//! 5. That an application's role has more than its database: there is no declaration of grants.

mod before;
mod check;
mod containers;
mod exposure;
mod images;
mod inputs;
mod names;
mod system;
mod voters;
mod ways;
