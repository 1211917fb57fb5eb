//! Happy eyeballs in virtual time (RFC 8305, M31): every order of answers, failures and delays, compared with a table.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// What an attempt at an address comes to, and after how many milliseconds.
#[derive(Clone, Copy)]
enum Comes {
    Up(u64),
    Refused(u64),
    Never,
}
use Comes::{Never, Refused, Up};

/// A family's look-up: after how many milliseconds it says what.
type Told<'a> = (u64, Result<&'a [(&'a str, Comes)], Error>);

/// Runs a race: the attempts with their times, and the end: the address that was connected to, or the error.
fn run(v6: Told<'_>, v4: Told<'_>) -> String {
    let mut race = Race::new(EyeballsConfig::DEFAULT);
    let all: Vec<(&str, Comes)> = [v6.1, v4.1].into_iter().flatten().flatten().copied().collect();
    let (mut now, mut text) = (0, String::new());
    let mut lookups = std::vec![(v6.0, true, v6.1), (v4.0, false, v4.1)];
    let mut running: Vec<(u64, IpAddr, bool)> = Vec::new();
    loop {
        lookups.retain(|(due, is_v6, told)| {
            if *due == now {
                let addresses =
                    told.map(|all| all.iter().map(|a| a.0.parse().unwrap()).collect::<Vec<IpAddr>>());
                // IPv6 before IPv4, as the table of RFC 6724 has it.
                race.on_addresses(
                    *is_v6,
                    addresses.as_deref().map_err(|e| *e),
                    |all| all.sort_by_key(IpAddr::is_ipv4),
                    at(now),
                );
            }
            *due != now
        });
        running.sort();
        while let Some(&(due, address, is_up)) = running.first().filter(|r| r.0 <= now) {
            running.remove(0);
            match is_up {
                true => return text + &std::format!("{now}={address}"),
                false => race
                    .on_failure(if due == now { Error::ConnectionRefused } else { Error::TimedOut }, at(now)),
            }
        }
        let wait = match race.next(at(now)) {
            Step::Over(error) => return text + &std::format!("{now}={error:?}"),
            Step::Start(address) => {
                text += &std::format!("{now}:{address} ");
                let comes = all.iter().find(|(a, _)| *a == address.to_string()).unwrap().1;
                running.push(match comes {
                    Up(after) => (now + after, address, true),
                    Refused(after) => (now + after, address, false),
                    Never => (now + 10_000, address, false),
                });
                continue;
            }
            Step::Wait(until) => until.map(|until| until.millis()),
        };
        assert!(wait.is_none_or(|until| until > now), "it waits for what is over: {text}");
        let told = lookups.iter().map(|l| l.0);
        now = told.chain(running.iter().map(|r| r.0)).chain(wait).min().expect("it waits for nothing");
    }
}

/// M31, L11: the table.
//= rfc8305#3
//= rfc8305#5
#[test]
fn race_goes_as_the_table_says() {
    const UP6: &[(&str, Comes)] = &[("2001:db8::1", Up(20))];
    const UP4: &[(&str, Comes)] = &[("192.0.2.1", Up(20))];
    const DEAD6: &[(&str, Comes)] = &[("2001:db8::1", Never)];
    const DEAD4: &[(&str, Comes)] = &[("192.0.2.1", Never)];
    const SLOW6: &[(&str, Comes)] = &[("2001:db8::1", Up(300))];
    const NO6: &[(&str, Comes)] = &[("2001:db8::1", Refused(5))];
    const NO4: &[(&str, Comes)] = &[("192.0.2.1", Refused(5))];
    let none = Error::NameNotFound;
    let table: &[(Told<'_>, Told<'_>, &str)] = &[
        // Answers in either order.
        ((10, Ok(UP6)), (10, Ok(UP4)), "10:2001:db8::1 30=2001:db8::1"),
        ((10, Ok(UP6)), (99, Ok(UP4)), "10:2001:db8::1 30=2001:db8::1"),
        ((40, Ok(UP6)), (10, Ok(UP4)), "40:2001:db8::1 60=2001:db8::1"),
        // AAAA comes later than 50 ms after A, or says that there is none.
        ((70, Ok(UP6)), (10, Ok(UP4)), "60:192.0.2.1 80=192.0.2.1"),
        ((70, Ok(UP6)), (10, Ok(DEAD4)), "60:192.0.2.1 310:2001:db8::1 330=2001:db8::1"),
        ((30, Ok(&[])), (10, Ok(UP4)), "30:192.0.2.1 50=192.0.2.1"),
        ((30, Err(Error::NameServerFailed)), (10, Ok(UP4)), "30:192.0.2.1 50=192.0.2.1"),
        ((5000, Err(Error::TimedOut)), (10, Ok(UP4)), "60:192.0.2.1 80=192.0.2.1"),
        ((10, Ok(UP6)), (5000, Err(Error::TimedOut)), "10:2001:db8::1 30=2001:db8::1"),
        // A dead path of IPv6 costs 250 ms; one that is slower than that may lose.
        ((10, Ok(DEAD6)), (10, Ok(UP4)), "10:2001:db8::1 260:192.0.2.1 280=192.0.2.1"),
        ((10, Ok(SLOW6)), (10, Ok(UP4)), "10:2001:db8::1 260:192.0.2.1 280=192.0.2.1"),
        ((10, Ok(SLOW6)), (10, Ok(DEAD4)), "10:2001:db8::1 260:192.0.2.1 310=2001:db8::1"),
        // A refusal costs nothing.
        ((10, Ok(NO6)), (10, Ok(UP4)), "10:2001:db8::1 15:192.0.2.1 35=192.0.2.1"),
        ((10, Ok(NO6)), (40, Ok(UP4)), "10:2001:db8::1 40:192.0.2.1 60=192.0.2.1"),
        // Nothing works: the last attempt's error; without any attempt, why there is no address.
        ((10, Ok(NO6)), (10, Ok(NO4)), "10:2001:db8::1 15:192.0.2.1 20=ConnectionRefused"),
        ((10, Err(none)), (20, Err(none)), "20=NameNotFound"),
        ((10, Ok(&[])), (20, Ok(&[])), "20=NoMatchingAddresses"),
        ((10, Ok(&[])), (5000, Err(Error::TimedOut)), "5000=TimedOut"),
        ((10, Err(Error::NameServerFailed)), (20, Ok(&[])), "20=NameServerFailed"),
    ];
    for (v6, v4, expected) in table {
        assert_eq!(run(*v6, *v4), *expected);
    }
}

/// RFC 8305 §4: the families take turns, and addresses that are told late join in.
#[test]
fn families_take_turns() {
    let v6: Vec<_> = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|a| (a, Never)).to_vec();
    let v4: Vec<_> = ["192.0.2.1", "192.0.2.2"].map(|a| (a, Never)).to_vec();
    let all = run((0, Ok(&v6)), (0, Ok(&v4)));
    let turns =
        "0:2001:db8::1 250:192.0.2.1 500:2001:db8::2 750:192.0.2.2 1000:2001:db8::3 11000=ConnectionRefused";
    assert_eq!(all, turns);
    let late = run((0, Ok(&v6)), (300, Ok(&v4)));
    assert!(
        late.starts_with("0:2001:db8::1 250:2001:db8::2 500:192.0.2.1 750:2001:db8::3 1000:192.0.2.2"),
        "{late}"
    );
}

/// A table of connections that is full: an attempt waits for the place of another, and is given up if there is none.
#[test]
fn attempt_without_a_place_waits() {
    let mut race = Race::new(EyeballsConfig::DEFAULT);
    let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    race.on_addresses(true, Ok(&[a]), |_| {}, at(0));
    race.on_addresses(false, Ok(&[b]), |_| {}, at(0));
    assert_eq!(race.next(at(0)), Step::Start(a));
    assert_eq!(race.next(at(250)), Step::Start(b));
    race.on_no_place(b, Error::TooManySockets, at(250));
    assert_eq!(race.next(at(250)), Step::Wait(None));
    race.on_failure(Error::ConnectionRefused, at(300));
    assert_eq!(race.next(at(300)), Step::Start(b));
    race.on_no_place(b, Error::TooManySockets, at(300));
    assert_eq!(race.next(at(300)), Step::Over(Error::TooManySockets));
}
