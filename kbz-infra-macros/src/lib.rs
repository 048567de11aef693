//! The derive macro of kbz-infra.
