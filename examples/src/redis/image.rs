//! The image of a node: Redis, and the scripts that start it and its Sentinel.

use kbz_infra::component::{BuildContext, ServiceImage};
use kbz_infra::program::{ImageBase, ImagePin};

/// The user inside the image, in the official one as in Debian's package.
pub const USER: &str = "redis";

/// Where the image of a program's environment comes from, by the pin of Redis.
pub fn source(base: &ImageBase, pin: &ImagePin) -> ServiceImage {
    let context = match base {
        ImageBase::Official => official(pin),
        ImageBase::Debian { reference } => debian(reference),
    };
    ServiceImage::Built(context.versioned(&pin.tag))
}

/// The official image on Debian, with the scripts.
pub fn official(pin: &ImagePin) -> BuildContext {
    let repository = &pin.repository;
    context(&match &pin.digest {
        Some(digest) => format!("FROM {repository}@{digest}\n"),
        None => format!("FROM {repository}:{}-bookworm\n", pin.tag),
    })
}

/// Debian's own package.
pub fn debian(base: &str) -> BuildContext {
    context(&format!(
        "FROM {base}\n\
         USER root\n\
         RUN export DEBIAN_FRONTEND=noninteractive \\\n \
         && apt-get update -q \\\n \
         && apt-get install -y -q --no-install-recommends redis-server \\\n \
         && rm -rf /var/lib/apt/lists/* /etc/redis/*\n"
    ))
}

fn context(from: &str) -> BuildContext {
    let dockerfile = format!(
        "{from}\
         COPY start-redis start-sentinel /usr/local/bin/\n\
         RUN chmod 755 /usr/local/bin/start-*\n\
         USER {USER}\n\
         STOPSIGNAL SIGTERM\n\
         ENTRYPOINT []\n"
    );
    BuildContext::new("kbz-redis", dockerfile)
        .with("start-redis", include_str!("start-redis"))
        .with("start-sentinel", include_str!("start-sentinel"))
}
