//! Memberships of groups beside a Linux bridge that snoops and queries: `bridge mdb` says what it has understood.

use barenet::stack::{Limits, Membership};
use barenet::wait::Threads;
use barenet::{Net, UdpSocket};
use barenet_tests::kernel::{Daemon, PATIENCE, machine, network, noise, within};
use barenet_tests::netns;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Runs a command and gives what it says.
fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.unwrap_or_else(|why| panic!("{command}: {why}"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Our stack on a port of a bridge whose querier speaks these versions.
fn beside_bridge(igmp: u8, mld: u8, body: impl FnOnce(&Net) + Send) {
    within(PATIENCE * 2, || {
        netns::run(|| {
            let tap = netns::tap(true);
            run(&format!(
                "ip link add br0 type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 mcast_stats_enabled 1 mcast_igmp_version {igmp} mcast_mld_version {mld} mcast_startup_query_interval 50 mcast_startup_query_count 10"
            ));
            run("ip address flush dev tap0 scope global");
            run("ip address add 10.0.0.1/24 dev br0");
            run("ip link set tap0 master br0");
            run("ip link set br0 up");
            let platform = machine(tap.events());
            let net = network(tap, platform, &Threads, &Limits::default());
            let _daemon = Daemon::start(&net);
            // The querier of MLD is silent while its address is tentative. What the first question asks is known when the second one goes.
            let started = Instant::now();
            while counted("igmp_queries", "tx", igmp) < 2 || counted("mld_queries", "tx", mld) < 2 {
                assert!(started.elapsed() < PATIENCE, "the bridge asks nothing");
                thread::sleep(Duration::from_millis(50));
            }
            body(&net);
        });
    });
}

/// How many messages of this kind and version the bridge has had (`rx`) from us, or sent us (`tx`).
fn counted(kind: &str, way: &str, version: u8) -> u64 {
    let text = run("ip -j stats show dev tap0 group xstats_slave subgroup bridge suite mcast");
    let after =
        |text: &str, key: &str| text.split_once(key).unwrap_or_else(|| panic!("{key}: {text}")).1.to_owned();
    let count = after(&after(&text, &format!("\"{kind}\":")), &format!("\"{way}_v{version}\":"));
    count.split([',', '}']).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// What the bridge has of a group on our port: does it exclude, and which sources.
type State = (bool, BTreeSet<IpAddr>);
type Kept = BTreeMap<IpAddr, State>;

fn kept() -> Kept {
    let mut kept = Kept::new();
    for line in run("bridge -d mdb show dev br0").lines().filter(|l| l.contains("port tap0")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |name: &str| words.iter().position(|w| *w == name).and_then(|at| words.get(at + 1));
        let Some(group) = after("grp").and_then(|g| g.parse::<IpAddr>().ok()) else { continue };
        // An entry of its own for each source tells the same again.
        if after("src").is_some() {
            continue;
        }
        let sources = after("source_list").map_or("", |list| list);
        let sources = sources.split(',').filter_map(|s| s.split_once('/'));
        let listed = sources.filter_map(|(address, left)| Some((address.parse().ok()?, left != "0.00")));
        let exclude = after("filter_mode") != Some(&"include");
        // In exclude mode those whose time is over are blocked; the others are asked for, and pass.
        let sources = listed.filter(|(_, passes)| *passes != exclude).map(|(address, _)| address);
        kept.insert(group, (exclude, sources.collect()));
    }
    kept
}

/// Waits until the bridge has exactly this of some groups.
fn expect(expected: &[(IpAddr, Option<State>)], patience: Duration) {
    let start = Instant::now();
    loop {
        let kept = kept();
        let wrong = expected.iter().find(|(group, state)| kept.get(group) != state.as_ref());
        let Some((group, state)) = wrong else { return };
        if start.elapsed() > patience {
            let has = kept.get(group);
            panic!(
                "{group}: {state:?} is wanted, the bridge has {has:?}\n{}",
                run("bridge -d mdb show dev br0")
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn groups() -> [IpAddr; 4] {
    ["239.1.2.3", "232.1.2.4", "ff15::1234", "ff35::5678"].map(|a| a.parse().unwrap())
}

/// I09, D04, U13: the bridge knows of each join within a second, and of each leave after its last-member queries.
#[test]
fn bridge_sees_each_join_within_a_second() {
    beside_bridge(3, 2, |net| {
        let socket = UdpSocket::bind(net, 7).unwrap();
        for group in groups() {
            socket.join(group, None, Membership::AnySource).unwrap();
            expect(&[(group, Some((true, BTreeSet::new())))], Duration::from_secs(1));
        }
        for group in groups() {
            socket.leave(group, None, Membership::AnySource).unwrap();
        }
        let gone = groups().map(|group| (group, None));
        expect(&gone, Duration::from_secs(10));
    });
}

/// I09, D7: after a hundred random joins and leaves its lists of sources are those that the sockets want.
#[test]
fn bridge_has_each_source_list_after_random_changes() {
    beside_bridge(3, 2, |net| {
        let socket = UdpSocket::bind(net, 7).unwrap();
        let mut wanted = BTreeMap::<IpAddr, BTreeSet<IpAddr>>::new();
        for pair in noise(200, 5).chunks(2) {
            let group = groups()[usize::from(pair[0] % 4)];
            let source: IpAddr = match group {
                IpAddr::V4(_) => [10, 0, 0, 20 + pair[1] % 8].into(),
                IpAddr::V6(_) => format!("fd00::{}", 20 + pair[1] % 8).parse().unwrap(),
            };
            let sources = wanted.entry(group).or_default();
            match sources.remove(&source) {
                true => socket.leave(group, None, Membership::Source(source)).unwrap(),
                false => {
                    socket.join(group, None, Membership::Source(source)).unwrap();
                    sources.insert(source);
                }
            }
        }
        let expected = groups().map(|group| {
            let sources = wanted.remove(&group).filter(|sources| !sources.is_empty());
            (group, sources.map(|sources| (false, sources)))
        });
        expect(&expected, Duration::from_secs(15));
    });
}

/// I09: beside queriers of IGMPv2 and MLDv1 we speak those, and the bridge understands it.
#[test]
fn older_queriers_are_answered_in_their_version() {
    beside_bridge(2, 1, |net| {
        let socket = UdpSocket::bind(net, 7).unwrap();
        let reports = || {
            [("igmp", 2), ("igmp", 3), ("mld", 1), ("mld", 2)]
                .map(|(of, v)| counted(&format!("{of}_reports"), "rx", v))
        };
        let before = reports();
        for group in groups() {
            socket.join(group, None, Membership::AnySource).unwrap();
        }
        let joined = groups().map(|group| (group, Some((true, BTreeSet::new()))));
        expect(&joined, Duration::from_secs(1));
        let now = reports();
        assert!(now[0] >= before[0] + 2 && now[2] >= before[2] + 2, "{before:?} {now:?}");
        assert_eq!([now[1], now[3]], [before[1], before[3]], "the bridge's version is older");
        for group in groups() {
            socket.leave(group, None, Membership::AnySource).unwrap();
        }
        let gone = groups().map(|group| (group, None));
        expect(&gone, Duration::from_secs(10));
    });
}
