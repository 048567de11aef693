//! Programs that do not compile: what types forbid, and what `#[derive(Resource)]` says of
//! mistakes. Messages and places are held beside each program; `TRYBUILD=overwrite` renews them.

#[test]
fn mistakes_that_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile/types/*.rs");
    cases.compile_fail("tests/compile/derive/*.rs");
}
