//! Every law of congestion and every option, over links of every kind of MTU.

use super::*;
use crate::tcp::{Congestion, TcpConfig};

/// The least of IPv4, of IPv6, those of links that there are, powers of two, and what lies beside them.
const MTUS: [u16; 22] = [
    68, 69, 100, 296, 552, 576, 1023, 1279, 1280, 1281, 1500, 4352, 8192, 9000, 16_384, 32_767, 32_768,
    32_820, 33_000, 49_152, 65_534, 65_535,
];

const LAWS: &[Congestion] = &[
    #[cfg(feature = "cubic")]
    Congestion::Cubic,
    Congestion::NewReno,
    #[cfg(feature = "bbr")]
    Congestion::Bbr,
    Congestion::None,
];

/// One set of options: a change of the defaults.
type Change = fn(&mut TcpConfig);

const SETS: &[Change] = &[
    |_| {},
    |c| (c.timestamps, c.sack, c.dsack, c.tail_probes) = (false, false, false, false),
    |c| c.pacing = true,
    #[cfg(feature = "ecn")]
    |c| (c.ecn, c.pacing) = (crate::tcp::Ecn::On, true),
    #[cfg(feature = "path-probing")]
    |c| c.path_probing = crate::tcp::PathProbing::Always,
    |c| c.options.max_segment = Some(64),
    |c| c.initial_window = 1,
    |c| c.initial_window = u8::MAX,
    |c| (c.send_buffer, c.receive_buffer, c.tune_buffers) = (3_000, 5_000, false),
    |c| (c.options.window_clamp, c.options.unsent_max) = (Some(700), Some(500)),
    |c| (c.options.nodelay, c.quick_acks, c.options.quick_acks) = (true, 0, Some(255)),
    |c| (c.options.cork, c.options.hop_limit, c.options.dscp) = (true, 255, 63),
];

/// Moves some segments' worth of text, a few of which get lost. Whatever panics, stalls or arrives
/// otherwise names its case.
fn transfer(mtus: [u16; 2], to: IpAddr, law: Congestion, change: Change) {
    let mut world = World::with_mtus(mtus);
    for host in &mut world.hosts {
        let change = |config: &mut TcpConfig| {
            change(config);
            config.congestion = law;
        };
        host.stack.configure_tcp(change).unwrap();
    }
    let (client, server) = world.connect_to(to, 7);
    world.lose = |n| n % 17 == 9;
    let data = pattern((usize::from(mtus[0].min(mtus[1])) * 12).min(140_000));
    assert_eq!(world.transfer(client, server, &data).len(), data.len());
}

fn run(mtus: [u16; 2], law: Congestion, set: usize) {
    let v6 = mtus.iter().all(|mtu| *mtu >= 1280).then(|| "fd00::2".parse().unwrap());
    for to in [Some(IpAddr::from([10, 0, 0, 2])), v6].into_iter().flatten() {
        let case = std::panic::AssertUnwindSafe(|| transfer(mtus, to, law, SETS[set]));
        if let Err(why) = std::panic::catch_unwind(case) {
            std::eprintln!("MTUs {mtus:?}, {law:?}, options {set}, to {to}");
            std::panic::resume_unwind(why);
        }
    }
}

/// H273, H209: no MTU from 68 to 65,535 and no law of congestion panics or stalls.
#[test]
fn every_law_at_every_mtu() {
    for mtu in MTUS {
        LAWS.iter().for_each(|law| run([mtu, mtu], *law, 0));
    }
}

/// H273: nor does any option beside the defaults, where MTUs are extreme or differ.
#[test]
fn every_option_at_extreme_mtus() {
    for mtus in [[68, 68], [68, 65_535], [65_535, 1280], [65_535, 65_535]] {
        for law in LAWS {
            (1..SETS.len()).for_each(|set| run(mtus, *law, set));
        }
    }
}
