//! The command line of QEMU.

use crate::accelerator::Accelerator;
use crate::board::{Board, Machine};
use crate::forward::Forward;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The guest's network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Network {
    /// QEMU's own, behind address translation: it takes no privilege. The guest is 10.0.2.15 and forms an address of
    /// fec0::/64, the host is 10.0.2.2 and fec0::2.
    User(Vec<Forward>),
    /// A TAP of this host, by name.
    Tap(String),
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The board.
    pub board: &'static Board,
    /// The machine of the board.
    pub machine: &'static Machine,
    /// How its CPU is run.
    pub accelerator: Accelerator,
    /// The program's file.
    pub kernel: PathBuf,
    /// The program's arguments.
    pub arguments: Vec<String>,
    /// The network.
    pub network: Network,
    /// Where to write what crosses the network device.
    pub pcap: Option<PathBuf>,
}

impl Launch {
    /// QEMU's arguments.
    ///
    /// # Errors
    ///
    /// When an argument of the program can't be passed on a kernel command line, or a path is
    /// not text.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let mut args = self.base();
        for word in self.board.exit.iter().chain(self.machine.more) {
            args.push((*word).into());
        }
        args.extend(["-kernel".into(), text(&self.kernel)?.into()]);
        if let Some(bad) = self.arguments.iter().find(|a| a.contains(char::is_whitespace)) {
            bail!("the argument `{bad}` has a space in it, which a kernel command line can't pass");
        }
        if !self.arguments.is_empty() {
            args.extend(["-append".into(), self.arguments.join(" ")]);
        }
        args.extend(["-netdev".into(), self.netdev()?]);
        args.extend(["-device".into(), format!("{},netdev=n0", self.machine.nic)]);
        if let Some(pcap) = &self.pcap {
            let file = escape(text(pcap)?);
            args.extend(["-object".into(), format!("filter-dump,id=dump0,netdev=n0,file={file}")]);
        }
        Ok(args)
    }

    /// Without devices that nobody asked for: the console is QEMU's output.
    fn base(&self) -> Vec<String> {
        let mut args: Vec<String> = ["-machine", self.machine.machine].map(Into::into).into();
        for word in self.accelerator.arguments() {
            args.push((*word).into());
        }
        let fixed = "-m 256M -nodefaults -no-user-config -no-reboot -display none \
                     -chardev stdio,id=console,signal=off -serial chardev:console";
        args.extend(fixed.split_whitespace().map(Into::into));
        args
    }

    fn netdev(&self) -> Result<String> {
        Ok(match &self.network {
            Network::User(forwards) => {
                let mut netdev = "user,id=n0".to_owned();
                for Forward { host, guest } in forwards {
                    netdev += &format!(",hostfwd={}:127.0.0.1:{host}-:{}", guest.protocol, guest.number);
                }
                netdev
            }
            // The vnet header lets checksums and segmentation through to the host's kernel.
            Network::Tap(name) => {
                format!("tap,id=n0,ifname={},script=no,downscript=no,vnet_hdr=on", escape(name))
            }
        })
    }
}

fn text(path: &Path) -> Result<&str> {
    match path.to_str() {
        Some(text) => Ok(text),
        None => bail!("the path {} is not text", path.display()),
    }
}

/// A comma ends a value in QEMU's options; two stand for one.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::BOARDS;
    use crate::forward::{Port, Protocol};

    fn launch(machine: &str, network: Network) -> Launch {
        let board = &BOARDS[0];
        Launch {
            board,
            machine: board.machine(Some(machine)).unwrap(),
            accelerator: Accelerator::Tcg,
            kernel: "target/http_server".into(),
            arguments: vec!["ip=10.0.0.2/24".into(), "loud".into()],
            network,
            pcap: None,
        }
    }

    /// The value after each `flag`.
    fn values<'a>(args: &'a [String], flag: &str) -> Vec<&'a str> {
        let pairs = args.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn user_mode_forwards_ports() {
        let guest = Port::new(Protocol::Udp, 7000);
        let forward = Forward { host: 7001, guest };
        let args = launch("q35", Network::User(vec![forward])).arguments().unwrap();
        let netdev = "user,id=n0,hostfwd=udp:127.0.0.1:7001-:7000";
        assert_eq!(values(&args, "-netdev"), [netdev]);
        assert_eq!(values(&args, "-machine"), ["q35"]);
        assert_eq!(values(&args, "-kernel"), ["target/http_server"]);
        assert_eq!(values(&args, "-append"), ["ip=10.0.0.2/24 loud"]);
        let nic = "virtio-net-pci,disable-legacy=on,mrg_rxbuf=on,netdev=n0";
        assert!(values(&args, "-device").contains(&nic));
    }

    #[test]
    fn a_tap_has_vnet_headers_and_a_capture_its_file() {
        let mut launch = launch("microvm", Network::Tap("tap0".into()));
        launch.pcap = Some("a,b.pcap".into());
        let args = launch.arguments().unwrap();
        let netdev = "tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=on";
        assert_eq!(values(&args, "-netdev"), [netdev]);
        let dump = "filter-dump,id=dump0,netdev=n0,file=a,,b.pcap";
        assert_eq!(values(&args, "-object"), [dump]);
        assert_eq!(values(&args, "-global"), ["virtio-mmio.force-legacy=false"]);
    }

    #[test]
    fn an_argument_with_a_space_is_refused() {
        let mut launch = launch("q35", Network::User(vec![]));
        launch.arguments.push("two words".into());
        let why = launch.arguments().unwrap_err().to_string();
        assert!(why.contains("`two words`"), "{why}");
    }
}
