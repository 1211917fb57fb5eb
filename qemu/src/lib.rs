//! The runners behind `cargo qemu EXAMPLE` and `cargo host EXAMPLE`: build an example, give it a
//! network, start it, and pass its exit status on.

pub mod accelerator;
pub mod board;
pub mod build;
pub mod capture;
pub mod dhcp;
pub mod example;
pub mod forward;
pub mod install;
pub mod machine;
pub mod ready;
pub mod status;

/// Ends `command` when the runner ends, even by SIGKILL, where the system can do that.
pub fn end_with_runner(command: &mut std::process::Command) {
    #[cfg(target_os = "linux")]
    barenet_drivers::tap::namespace::end_with_parent(command);
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// What a `main` does with an error: one line that starts with `error:`, and a failure.
pub fn report(result: anyhow::Result<u8>) -> std::process::ExitCode {
    match result {
        Ok(status) => status.into(),
        Err(why) => {
            eprintln!("error: {why:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
