//! The lab by itself, without a program.

use std::path::PathBuf;

use kbz_lab::{Events, Lab, LabName, LabSpec};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let events = Events::new(|event| eprintln!("{event:?}"));
    let name: LabName = args[2].parse().unwrap();
    let mut spec = LabSpec::keybuzz(name.clone(), std::env::current_exe().unwrap());
    if let Some(subnet) = args.get(3) {
        spec = spec.in_subnet(subnet.parse().unwrap());
    }
    if args[1] == "up" {
        println!("{:#?}", Lab::up(&spec, &events).await);
    } else {
        println!(
            "{:?}",
            Lab::down(&name, &PathBuf::from(".kbz"), false, &events).await
        );
    }
}
