use kbz_infra::Resource;

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
enum Choice {
    One,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct Tuple(String);

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct Unit;

fn main() {}
