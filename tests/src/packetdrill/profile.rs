//! The settings that scripts assume: those of the system that they were written for, and what they set
//! by `sysctl`.

use super::script::{Script, What};
use barenet::time::Duration;
use barenet::{Congestion, Ecn, SynCookies, TcpConfig};

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

/// Takes the settings out of a command of the shell. Gives those that we have no counterpart of; `None`:
/// the command sets nothing.
pub fn apply_sysctl(command: &str, config: &mut TcpConfig) -> Option<Vec<String>> {
    let mut unknown = Vec::new();
    let mut words = command.split([' ', '\t', '\n', ';']).filter(|w| !w.is_empty());
    if words.next().is_none_or(|word| word != "sysctl" && !word.ends_with("/sysctl")) {
        return None;
    }
    for word in words {
        if let Some((name, value)) = word.split_once('=')
            && !apply(name, value, config)
        {
            unknown.push(name.to_string());
        }
    }
    Some(unknown)
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
    let Ok(number) = value.trim_matches('"').parse::<u64>() else { return false };
    let ms = Duration::from_millis(number);
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
        "net.inet.tcp.syncookies" | "net.ipv4.tcp_syncookies" => {
            config.syn_cookies = match number {
                0 => SynCookies::Off,
                1 => SynCookies::Auto,
                _ => SynCookies::Always,
            }
        }
        "net.inet.tcp.syncookies_only" if number != 0 => config.syn_cookies = SynCookies::Always,
        "net.ipv4.tcp_timestamps" => config.timestamps = number != 0,
        "net.ipv4.tcp_fin_timeout" => config.fin_wait_2_timeout = Duration::from_secs(number),
        _ => return false,
    }
    true
}

/// 0: never, 1: asked for, 2: when asked; what is above asks for AccECN too.
fn ecn(number: u64) -> Ecn {
    match number {
        0 => Ecn::Off,
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
        let unknown =
            apply_sysctl("sysctl -w net.inet.tcp.keepinit=75000 net.inet.tcp.blackhole=0", &mut config);
        assert_eq!(unknown, Some(vec!["net.inet.tcp.blackhole".to_string()]));
        assert_eq!(config.syn_timeout, Duration::from_secs(75));
        assert_eq!(apply_sysctl("sockstat -4 | grep a=b", &mut config), None);
    }
}
