//! `cargo host EXAMPLE`: the example as a Linux process on a TAP of its own.

#[cfg(target_os = "linux")]
#[path = "host/linux.rs"]
mod linux;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    let result = linux::run();
    #[cfg(not(target_os = "linux"))]
    let result = Err(anyhow::anyhow!("`cargo host` needs Linux's TAP; use `cargo qemu` here"));
    barenet_qemu::report(result)
}
