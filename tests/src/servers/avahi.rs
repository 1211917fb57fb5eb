//! avahi-daemon(8), with a bus of its own to be asked by.

use super::{Server, folder};
use barenet_qemu::install;
use std::process::Command;

/// An avahi at `tap0`, and the bus that it is asked by; both end with this value.
pub struct Avahi {
    _bus: Server,
    _daemon: Server,
    address: String,
}

/// Whoever has the socket may do anything.
const POLICY: &str = "<policy context='default'><allow user='*'/><allow own='*'/><allow send_type='method_call'/>\
                      <allow send_destination='*'/><allow receive_sender='*'/></policy>";

impl Avahi {
    /// avahi whose host has this name, if it can have it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(host: &str) -> Avahi {
        // Its file of its process has a fixed place, which is hidden from others.
        const APART: &str = "mount -t tmpfs none /run && exec \"$@\"";
        for (program, package) in [
            ("avahi-daemon", "avahi-daemon"),
            ("avahi-resolve", "avahi-utils"),
            ("dbus-daemon", "dbus-daemon"),
        ] {
            install::program(program, package).unwrap_or_else(|why| panic!("{why}"));
        }
        let (bus, place) = (folder(), folder());
        let (socket, bus_file, file) = (bus.join("bus"), bus.join("bus.conf"), place.join("avahi.conf"));
        let listen = format!("<listen>unix:path={}</listen><auth>EXTERNAL</auth>", socket.display());
        std::fs::write(&bus_file, format!("<busconfig><type>system</type>{listen}{POLICY}</busconfig>"))
            .expect("a file");
        let server = format!("[server]\nhost-name={host}\nallow-interfaces=tap0\nenable-dbus=yes\n");
        let rest = "[wide-area]\nenable-wide-area=no\n[publish]\npublish-workstation=yes\npublish-hinfo=no\n";
        std::fs::write(&file, server + rest).expect("a file");
        let path = |path: &std::path::Path| path.to_str().expect("a path in UTF-8").to_owned();
        let bus_file = format!("--config-file={}", path(&bus_file));
        let bus = Server::start("dbus-daemon", "dbus-daemon", bus, &[&bus_file, "--nofork", "--nopidfile"])
            .when("its bus", || socket.exists());
        let address = format!("unix:path={}", path(&socket));
        let set = format!("DBUS_SYSTEM_BUS_ADDRESS={address}");
        let daemon = ["env", &set, "avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "-f"];
        let file = path(&file);
        let args = [&["-m", "sh", "-c", APART, "sh"], &daemon[..], &[&file]].concat();
        let daemon = Server::start("unshare", "util-linux", place, &args).receives(5353);
        Avahi { _bus: bus, _daemon: daemon, address }
    }

    /// What one of avahi's programs says.
    pub fn ask(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(args).env("DBUS_SYSTEM_BUS_ADDRESS", &self.address).output();
        let output = output.unwrap_or_else(|why| panic!("{program}: {why}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
    }
}
