use kbz_infra::Resource;

#[derive(Debug, Resource)]
struct Bare {
    path: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd")]
struct Nameless {
    path: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "Message of the day", name = "path")]
struct Spaced {
    path: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", host = "machine", name = "file")]
struct Strange {
    path: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path", colour = "red")]
struct Coloured {
    path: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", kind = "issue", name = "path")]
struct Twice {
    path: String,
}

fn main() {}
