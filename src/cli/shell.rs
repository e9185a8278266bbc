//! `completions` and `man`: the command line told to shells and to man(1).

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;

use super::{exit::Exit, output};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory, instead of printing the first one
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

/// Prints a script for a shell.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::print_bytes(&script)?;
    Ok(Exit::Done)
}

/// Prints or writes manual pages.
pub(super) fn man(args: &ManArgs, command: Command) -> anyhow::Result<Exit> {
    if let Some(dir) = &args.dir {
        let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
        written.with_context(|| format!("pages cannot be written to {}", dir.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        output::print_bytes(&page)?;
    }
    Ok(Exit::Done)
}
