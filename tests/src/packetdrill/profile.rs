//! The settings that scripts assume: those of the system that they were written for, and what they set
//! by `sysctl`.

use super::script::{Script, What};
pub use barenet::TcpConfig;
use barenet::time::Duration;
use barenet::{Congestion, Ecn, PathProbing, SynCookies};

/// The system that a script was written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// FreeBSD: a fixed receive buffer, acknowledgments held back from the first segment on.
    FreeBsd,
    /// Linux, and what imitates it: the first segments are acknowledged at once.
    Linux,
}

/// FreeBSD rounds its receive buffer up to whole segments.
const SEGMENT: u32 = 1460;
/// What FreeBSD adds to every timeout.
const SLOP_MS: u64 = 200;

impl Profile {
    /// Told by the settings that the script names.
    pub fn of(script: &Script) -> Profile {
        let freebsd = |shell: &str| shell.contains("net.inet.") || shell.contains("kern.ipc");
        let found = script.events.iter().any(|e| matches!(&e.what, What::Shell(s) if freebsd(s)));
        if found { Profile::FreeBsd } else { Profile::Linux }
    }

    /// Its settings.
    pub fn config(self) -> TcpConfig {
        let mut config = TcpConfig::default();
        // The window of a script does not tune itself.
        config.receive_buffer = (65_536_u32).next_multiple_of(SEGMENT);
        config.time_wait = Duration::from_secs(60);
        // Scripts provoke many challenges in a short time.
        config.challenge_interval = Duration::from_millis(1);
        config.tune_buffers = false;
        match self {
            Profile::FreeBsd => {
                config.quick_acks = 0;
                config.unreachable_ends_open = false;
                config.tail_probes = false;
                // Its timeout is SRTT + 4 RTTVAR + slop: this, for the round trip of its scripts.
                config.rto_min = Duration::from_millis(300 + SLOP_MS);
            }
            Profile::Linux => {
                config.rto_min = Duration::from_millis(200);
            }
        }
        config
    }
}

/// Makes the settings of a command of the shell that we have a counterpart of. What is left of it is told.
pub fn apply_command(command: &str, config: &mut TcpConfig) -> Vec<&'static str> {
    let mut left = Vec::new();
    // A backslash carries a line on.
    for line in command.replace("\\\n", " ").split(['\n', ';', '&', '|']) {
        let words = words(line);
        let name = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
        match name {
            "" | "sysctl_restore_${PPID}.sh" => {}
            "sysctl" | "set_sysctls.py" => {
                let settings = words.iter().filter_map(|word| word.split_once('='));
                if settings.filter(|(name, value)| !apply(&dotted(name), value, config)).count() > 0 {
                    left.push("settings without a counterpart here");
                }
            }
            // What Linux' suite begins with, as far as it is not our default.
            "defaults.sh" => config.ecn = Ecn::Off,
            _ => left.push("shell commands"),
        }
    }
    left
}

/// Words at white space; quotes hold them together, and are taken off.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' | '\'' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => all.push(String::new()),
            c => all.last_mut().expect("there is one from the start").push(c),
        }
    }
    all.retain(|word| !word.is_empty());
    all
}

/// The name of a setting, also if it is a path below `/proc/sys`.
fn dotted(name: &str) -> String {
    name.trim_start_matches("/proc/sys/").replace('/', ".")
}

/// False: there is no such setting here.
fn apply(name: &str, value: &str, config: &mut TcpConfig) -> bool {
    if matches!(name, "net.inet.tcp.cc.algorithm" | "net.ipv4.tcp_congestion_control") {
        config.congestion = match value {
            "newreno" | "reno" => Congestion::NewReno,
            _ => Congestion::Cubic,
        };
        return matches!(value, "newreno" | "reno" | "cubic");
    }
    let Ok(number) = value.parse::<u64>() else { return false };
    let ms = Duration::from_millis(number);
    let seconds = Duration::from_secs(number);
    match name {
        "net.inet.tcp.rexmit_initial" => config.rto_initial = ms,
        "net.inet.tcp.rexmit_min" => config.rto_min = ms + Duration::from_millis(SLOP_MS),
        "net.inet.tcp.keepinit" => config.syn_timeout = ms,
        "net.inet.tcp.finwait2_timeout" => config.fin_wait_2_timeout = ms,
        "net.inet.tcp.msl" => config.time_wait = Duration::from_millis(2 * number),
        "net.inet.tcp.delacktime" => config.ack_delay = ms,
        "net.inet.tcp.delayed_ack" if number == 0 => config.ack_delay = Duration::ZERO,
        "net.inet.tcp.recvspace" => config.receive_buffer = (number as u32).next_multiple_of(SEGMENT),
        "net.inet.tcp.sendspace" => config.send_buffer = number as u32,
        // 1: both extensions, 2: windows alone, 3: timestamps alone.
        "net.inet.tcp.rfc1323" => config.timestamps = matches!(number, 1 | 3),
        "net.inet.tcp.initcwnd_segments" => config.initial_window = number.clamp(1, 255) as u8,
        "net.inet.tcp.sack.enable" | "net.ipv4.tcp_sack" => config.sack = number != 0,
        "net.ipv4.tcp_dsack" => config.dsack = number != 0,
        "net.inet.tcp.ecn.enable" | "net.ipv4.tcp_ecn" => config.ecn = ecn(number),
        "net.inet.ip.ttl" | "net.inet6.ip6.hlim" | "net.ipv4.ip_default_ttl" => {
            config.options.hop_limit = number.clamp(1, 255) as u8;
        }
        "net.inet.tcp.syncookies" | "net.ipv4.tcp_syncookies" => {
            config.syn_cookies = match number {
                0 => SynCookies::Off,
                1 => SynCookies::Auto,
                _ => SynCookies::Always,
            }
        }
        "net.inet.tcp.syncookies_only" if number != 0 => config.syn_cookies = SynCookies::Always,
        "net.ipv4.tcp_timestamps" => config.timestamps = number != 0,
        "net.ipv4.tcp_fin_timeout" => config.fin_wait_2_timeout = seconds,
        "net.ipv4.tcp_syn_retries" => config.options.syn_retries = u8::try_from(number).ok(),
        // 3 and 4 are Linux' own default: probes of the tail.
        "net.ipv4.tcp_early_retrans" => config.tail_probes = number >= 3,
        "net.ipv4.tcp_notsent_lowat" => config.options.unsent_max = u32::try_from(number).ok(),
        "net.ipv4.tcp_mtu_probing" => {
            config.path_probing = match number {
                0 => PathProbing::Off,
                1 => PathProbing::OnBlackHole,
                _ => PathProbing::Always,
            }
        }
        _ => return false,
    }
    true
}

/// 0: never, 1: RFC 3168's is asked for, 2: when asked; what is above asks for AccECN.
fn ecn(number: u64) -> Ecn {
    match number {
        0 => Ecn::Off,
        1 => Ecn::Classic,
        2 => Ecn::WhenAsked,
        _ => Ecn::On,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_from_commands() {
        let mut config = Profile::FreeBsd.config();
        assert_eq!(config.receive_buffer, 65_700);
        let left = |command: &str, config: &mut TcpConfig| apply_command(command, config);
        let command = "sysctl -w net.inet.tcp.keepinit=75000 net.inet.tcp.blackhole=0";
        assert_eq!(left(command, &mut config), ["settings without a counterpart here"]);
        assert_eq!(config.syn_timeout, Duration::from_secs(75));
        assert_eq!(left("sockstat -4", &mut config), ["shell commands"]);
        let command = "../common/defaults.sh\n ../common/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0 \\\n \
            /proc/sys/net/ipv4/tcp_sack=0";
        assert!(left(command, &mut config).is_empty());
        assert!(!config.timestamps && !config.sack && config.ecn == Ecn::Off);
        assert!(
            left("sysctl -q net.ipv4.tcp_ecn=\"1\"; sysctl net.ipv4.tcp_fin_timeout=7", &mut config)
                .is_empty()
        );
        assert_eq!((config.ecn, config.fin_wait_2_timeout), (Ecn::Classic, Duration::from_secs(7)));
    }
}
