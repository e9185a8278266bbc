//! Any text as the configuration file. What is wrong with it can be shown, and never shows a secret.

#![no_main]

use contact_relay::config::{self, FixedEnvironment, Problems};
use libfuzzer_sys::fuzz_target;

fn show(problems: &Problems) {
    for problem in problems {
        assert!(!problem.to_string().is_empty());
    }
    assert_eq!(problems.is_empty(), problems.render(false).is_empty());
    let _ = problems.render(true);
}

fuzz_target!(|text: &str| {
    let environment = FixedEnvironment::default()
        .with_var("SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .with_var("EMPTY", "")
        .with_file("/run/secrets/token", "token\n");
    match config::parse(text, "contact-relay.toml", &environment) {
        Ok(loaded) => show(&loaded.warnings),
        Err(problems) => {
            assert!(!problems.is_empty());
            show(&problems);
        }
    }
});
