use kbz_infra::Resource;

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct Unknown {
    path: String,
    #[resource(hidden)]
    text: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct NoImpact {
    path: String,
    #[resource(impact = "reboot")]
    text: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct SkippedAndSecret {
    path: String,
    #[resource(skip, secret)]
    text: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct ReplacedWithImpact {
    path: String,
    #[resource(replace, impact = "restart")]
    text: String,
}

#[derive(Debug, Resource)]
#[resource(kind = "motd", name = "path")]
struct SecretTwice {
    path: String,
    #[resource(secret)]
    #[resource(secret)]
    text: String,
}

fn main() {}
