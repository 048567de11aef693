use kbz_infra::Resource;

#[derive(Debug, Resource)]
#[resource(kind = "motd", host = "machine", name = "file")]
struct Motd {
    #[resource(impact = "reboot")]
    path: String,
    #[resource(hidden)]
    text: String,
}

fn main() {}
