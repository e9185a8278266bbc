//! `contact-relay demo`: the story that a newcomer sees first must come out well, every time.

use std::time::{Duration, Instant};

use assert_cmd::Command;

#[test]
fn the_demonstration_ends_well_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::cargo_bin("contact-relay").expect("the program");
    let began = Instant::now();
    let demo = command.args(["demo", "--exit"]).env("TMPDIR", directory.path()).timeout(Duration::from_mins(1));
    let output = demo.assert().success().get_output().clone();
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());

    let told = String::from_utf8(output.stdout).expect("UTF-8");
    for line in [
        "a new customer",
        "the same webhook again",
        "a ping without signature",
        "the change of 09:40",
        "a forged webhook",
        "PATCH contacts/3 500",
        "PATCH contacts/3 200",
        "Every update arrived",
    ] {
        assert!(told.contains(line), "`{line}` is missing in\n{told}");
    }
    assert!(!told.contains('\x1b'), "no colours where no terminal is");
    assert!(told.lines().all(|line| line.chars().count() <= 110), "wider than 110 characters:\n{told}");
    let left = std::fs::read_dir(directory.path()).expect("the directory").count();
    assert_eq!(left, 0, "files are left behind");
}
