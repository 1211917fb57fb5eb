//! Real servers of configuration and names on the kernel's end of a TAP `tap0`: dnsmasq(8), kea-dhcp4(8), kea-dhcp6(8), radvd(8) and
//! unbound(8), which are installed where that is possible.

mod applications;
mod avahi;

pub use avahi::Avahi;

use barenet_qemu::install;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest that a server may take to start: some fifty times what it needs.
const START: Duration = Duration::from_secs(10);

/// A server that ends with this value, and with it the folder of its files.
pub struct Server(Child, PathBuf);

impl Server {
    fn start(program: &str, package: &str, folder: PathBuf, args: &[&str]) -> Server {
        install::program(program, package).unwrap_or_else(|why| panic!("{why}"));
        let mut command = Command::new(program);
        command.args(args).env("KEA_LOCKFILE_DIR", "none").env("KEA_PIDFILE_DIR", &folder);
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        let child = command.spawn().unwrap_or_else(|why| panic!("{program}: {why}"));
        Server(child, folder)
    }

    /// This server, once `ready` says so of it.
    fn when(self, what: &str, ready: impl Fn() -> bool) -> Server {
        let started = Instant::now();
        while !ready() {
            assert!(started.elapsed() < START, "no server at {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// This server, once a socket is bound to that UDP port: what comes before is refused by the kernel.
    fn receives(self, port: u16) -> Server {
        let bound = |table: &str| {
            let table = std::fs::read_to_string(table).unwrap_or_default();
            let local = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
            local
                .filter_map(|end| end.rsplit_once(':'))
                .any(|(_, told)| u16::from_str_radix(told, 16) == Ok(port))
        };
        self.when(&format!("UDP port {port}"), || {
            ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"].into_iter().any(bound)
        })
    }

    /// dnsmasq with these arguments besides; it serves no names.
    ///
    /// # Panics
    ///
    /// When it can't be started, as the others here.
    pub fn dnsmasq(args: &[&str]) -> Server {
        let folder = folder();
        let leases = format!("--dhcp-leasefile={}", folder.join("leases").display());
        let fixed =
            ["--no-daemon", "--no-resolv", "--no-hosts", "--no-ping", "--conf-file=/dev/null", "--port=0"];
        let place = ["--interface=tap0", "--bind-interfaces", "--pid-file=", &leases];
        Server::start("dnsmasq", "dnsmasq-base", folder, &[&fixed[..], &place, args].concat())
    }

    /// dnsmasq that serves names and nothing else, with these arguments besides.
    pub fn dnsmasq_names(args: &[&str]) -> Server {
        let folder = folder();
        let fixed = ["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="];
        let place = ["--interface=tap0", "--bind-interfaces"];
        Server::start("dnsmasq", "dnsmasq-base", folder, &[&fixed[..], &place, args].concat()).receives(53)
    }

    /// unbound that knows only the zones of `rest`, lines of its `server:` clause, at both addresses of the kernel's end.
    pub fn unbound(rest: &str) -> Server {
        let folder = folder();
        let file = folder.join("unbound.conf");
        let place = folder.display();
        let fixed = "interface: 10.0.0.1\ninterface: fd00::1\naccess-control: 0.0.0.0/0 allow\naccess-control: ::/0 allow\n";
        let quiet = "chroot: \"\"\nusername: \"\"\nmodule-config: \"iterator\"\nuse-syslog: no\npidfile: \"\"\ndo-daemonize: no\n";
        let config = format!(
            "server:\ndirectory: \"{place}\"\n{fixed}{quiet}{rest}\nremote-control:\ncontrol-enable: no\n"
        );
        std::fs::write(&file, config).expect("a file");
        Server::start("unbound", "unbound", folder, &["-d", "-c", file.to_str().expect("a path in UTF-8")])
            .receives(53)
    }

    /// kea-dhcp4 with this configuration, in JSON.
    pub fn kea(config: &str) -> Server {
        Server::start_kea("kea-dhcp4", "kea-dhcp4-server", config)
    }

    /// kea-dhcp6 with this configuration.
    pub fn kea6(config: &str) -> Server {
        Server::start_kea("kea-dhcp6", "kea-dhcp6-server", config)
    }

    fn start_kea(program: &str, package: &str, config: &str) -> Server {
        let folder = folder();
        let file = folder.join("kea.conf");
        std::fs::write(&file, config).expect("a file");
        Server::start(program, package, folder, &["-c", file.to_str().expect("a path in UTF-8")])
    }

    /// radvd that advertises on `tap0`, every three seconds or four, what `rest` says besides.
    pub fn radvd(rest: &str) -> Server {
        Server::radvd_on("tap0", rest)
    }

    /// The same on another interface.
    pub fn radvd_on(interface: &str, rest: &str) -> Server {
        // It refuses to advertise where nothing is forwarded; where this is not ours to set it says so.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
        let folder = folder();
        let (config, pid) = (folder.join("radvd.conf"), folder.join("pid"));
        std::fs::write(&config, advertisement(interface, rest)).expect("a file");
        let paths = [&config, &pid].map(|path| path.to_str().expect("a path in UTF-8").to_owned());
        let args = ["--nodaemon", "--logmethod=stderr", "--config", &paths[0], "--pidfile", &paths[1]];
        Server::start("radvd", "radvd", folder, &args)
    }

    /// From now on radvd advertises this on `tap0`.
    pub fn advertise(&self, rest: &str) {
        self.advertise_on("tap0", rest);
    }

    /// The same on another interface.
    pub fn advertise_on(&self, interface: &str, rest: &str) {
        std::fs::write(self.1.join("radvd.conf"), advertisement(interface, rest)).expect("a file");
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("a process of ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

fn advertisement(interface: &str, rest: &str) -> String {
    format!(
        "interface {interface} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {rest} }};\n"
    )
}

/// A new folder for one server.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("barenet-servers-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("a folder for temporary files");
    folder
}
