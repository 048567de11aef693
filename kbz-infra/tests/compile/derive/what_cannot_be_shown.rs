use kbz_infra::Resource;

#[derive(Debug)]
struct Opaque;

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct Motd {
    path: String,
    content: Opaque,
}

fn main() {}
