//! What a fuzzer draws.

use arbitrary::Arbitrary;
use barenet::stack::Limits;
use barenet::time::Duration;
use barenet::{Congestion, Ecn, KeepAlive, PathProbing, SynCookies, TcpConfig, TcpOptions};

/// Everything that happens in a run.
#[derive(Arbitrary, Clone, Debug)]
pub struct Input {
    /// The two machines.
    pub machines: [Machine; 2],
    /// Connections that are established before the first step, alternately from each side, over either family.
    pub opened: [bool; 3],
    /// What happens.
    pub steps: Vec<Step>,
}

/// Which of the two machines.
pub type Side = bool;

/// A machine.
#[derive(Arbitrary, Clone, Debug)]
pub struct Machine {
    memory: u8,
    block: u8,
    connections: u8,
    active: u8,
    /// Its device completes checksums.
    pub checksum: bool,
    /// Its device cuts segments.
    pub tso: bool,
    mtu: u8,
    congestion: u8,
    sack: bool,
    timestamps: bool,
    ecn: u8,
    probing: u8,
    cookies: u8,
    pacing: bool,
    fast_open: bool,
    nodelay: bool,
    keep_alive: bool,
    user_timeout: Option<u8>,
    buffers: u8,
}

impl Machine {
    /// What its stack may use: from next to nothing to plenty.
    #[allow(clippy::needless_update)] // with `multicast` there is one more
    pub fn limits(&self) -> Limits {
        let block_len = [64, 252, 508, 2044, 16_384][usize::from(self.block) % 5];
        let blocks = [2, 3, 8, 40, 400][usize::from(self.memory) % 5];
        Limits {
            memory: block_len * blocks,
            block_len,
            neighbors: 8,
            addresses: 8,
            learnt_routes: 8,
            routes: 4,
            connections: 1 + usize::from(self.connections % 12),
            active: 1 + usize::from(self.active % 4),
            datagrams: 4,
            raw_sockets: 2,
            fragments: 4,
            ..Limits::default()
        }
    }

    /// The largest IP packet of both devices is the smaller of the two.
    pub fn mtu(&self) -> u16 {
        [1500, 1280, 1400, 9000][usize::from(self.mtu) % 4]
    }

    /// Its settings.
    pub fn config(&self) -> TcpConfig {
        let mut config = TcpConfig::default();
        config.congestion = [Congestion::Cubic, Congestion::NewReno, Congestion::Bbr, Congestion::None]
            [usize::from(self.congestion) % 4];
        (config.sack, config.timestamps, config.pacing) = (self.sack, self.timestamps, self.pacing);
        config.ecn = [Ecn::Off, Ecn::WhenAsked, Ecn::On][usize::from(self.ecn) % 3];
        config.path_probing =
            [PathProbing::OnBlackHole, PathProbing::Off, PathProbing::Always][usize::from(self.probing) % 3];
        config.syn_cookies =
            [SynCookies::Auto, SynCookies::Off, SynCookies::Always][usize::from(self.cookies) % 3];
        let size = [4 << 20, 1, 700, 5_000, 100_000][usize::from(self.buffers) % 5];
        (config.send_buffer, config.receive_buffer) = (size, size);
        config.options = self.options();
        config
    }

    /// Options of its connections.
    pub fn options(&self) -> TcpOptions {
        let (idle, interval) = (Duration::from_secs(30), Duration::from_secs(10));
        let mut options = TcpOptions::default();
        options.nodelay = self.nodelay;
        options.fast_open = self.fast_open;
        options.fast_open_backlog = u16::from(self.fast_open);
        options.keep_alive = self.keep_alive.then_some(KeepAlive { idle, interval, probes: 3 });
        options.user_timeout = self.user_timeout.map(|s| Duration::from_secs(u64::from(s) + 1));
        options
    }
}

/// One thing that happens.
#[derive(Arbitrary, Clone, Debug)]
pub enum Step {
    /// Time passes; timers run when they are due, and frames cross the link.
    Settle(u16),
    /// Time passes, and no frame crosses.
    Wait(u16),
    /// Nobody turns for so many seconds, in sixteenths; then one turn comes, late.
    Jump(u16),
    /// The next frames of a side arrive.
    Pass(Side, u8),
    /// A frame of a side, counted from the next.
    Frame(Side, u8, Fate),
    /// A segment like the last that this side got, but for this.
    Forge(Side, Forgery),
    /// Bytes that nobody sent, behind the addresses of Ethernet.
    Raw(Side, [u8; 2], Vec<u8>),
    /// The device of a side takes so many frames more; 255: any number.
    Room(Side, u8),
    /// It takes none at all, or does again.
    Refuse(Side, bool),
    /// It is taken away, and another comes in its place.
    Flap(Side),
    /// An address of a side goes, or comes.
    Address(Side, bool, bool),
    /// A call of an application.
    Call(Side, Call),
}

/// What becomes of a frame.
#[derive(Arbitrary, Clone, Debug)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It arrives, and waits to arrive again.
    Twice,
    /// It arrives first.
    Overtakes,
    /// A bit of it is inverted; it has the right checksums all the same, or not.
    Flipped(u16, bool),
    /// A router marks it (RFC 3168).
    Marked,
    /// A router says that so many bytes would fit.
    TooBig(u16),
}

/// How a forged segment differs from the one that it is made from.
#[derive(Arbitrary, Clone, Debug)]
pub struct Forgery {
    /// Added to the sequence number, shifted by up to 31 bits.
    pub seq: (i8, u8),
    /// Added to the acknowledgment number.
    pub ack: (i8, u8),
    /// The low byte of the flags.
    pub flags: Option<u8>,
    /// The window.
    pub window: Option<u16>,
    /// The urgent pointer.
    pub urgent: Option<u16>,
    /// Options in place of its own.
    pub options: Option<Vec<u8>>,
    /// Bytes of text in place of its own.
    pub text: Option<u16>,
}

/// A call of an application. Handles are numbers into what there is, and wrap.
#[derive(Arbitrary, Clone, Debug)]
#[allow(missing_docs, reason = "they are the calls of `Stack`")]
pub enum Call {
    Listen(u8),
    Unlisten,
    Accept,
    Connect { v6: bool, own_port: bool, elsewhere: bool },
    Write(u8, u16),
    WriteWhole(u8, u16),
    Read(u8, u16),
    Peek(u8),
    ShutdownWrite(u8),
    ShutdownRead(u8),
    Close(u8),
    Abort(u8),
    Options(u8, Machine),
    Wait(u8, bool),
    Bind { v6: bool },
    Send(u8, u16, bool),
    Receive(u8),
    CloseSocket(u8),
}
