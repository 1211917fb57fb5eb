//! The client against servers of every kind, in virtual time.

use core::net::Ipv6Addr;
use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::base::random::Random;
use crate::counters::Drop;
use crate::device::Mac;
use crate::time::Instant;
use crate::wire::{Dhcpv6Kind, Dhcpv6Message, Options6, option6};

mod hostile;
mod states;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
const SERVER: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9];
const OTHER: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 8];
const IAID: u32 = 7;

fn own() -> Ipv6Addr {
    "2001:db8::77".parse().unwrap()
}

fn secs(s: u64) -> Instant {
    Instant::from_millis(s * 1000)
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()
}

fn address(own: Ipv6Addr, preferred: u32, valid: u32) -> Vec<u8> {
    let value = [&own.octets()[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat();
    option(option6::IA_ADDRESS, &value)
}

fn ia(iaid: u32, t1: u32, t2: u32, inner: &[u8]) -> Vec<u8> {
    option(option6::IA_NA, &[&[iaid, t1, t2].map(u32::to_be_bytes).concat()[..], inner].concat())
}

fn status(code: u16) -> Vec<u8> {
    option(option6::STATUS, &[&code.to_be_bytes()[..], b"why"].concat())
}

/// A message of a server: options as they lie in the packet.
#[derive(Clone)]
struct Answer(Vec<u8>);

impl Answer {
    fn bare(kind: u8, xid: u32) -> Answer {
        let [_, a, b, c] = xid.to_be_bytes();
        Answer(std::vec![kind, a, b, c])
    }
    fn new(kind: Dhcpv6Kind, host: &Host) -> Answer {
        Answer::from_server(kind, host, SERVER)
    }
    fn from_server(kind: Dhcpv6Kind, host: &Host, server: &[u8]) -> Answer {
        let bare = Answer::bare(kind as u8, host.client.xid);
        bare.with(&option(option6::SERVER_ID, server)).with(&option(option6::CLIENT_ID, &DUID))
    }
    fn with(mut self, option: &[u8]) -> Answer {
        self.0.extend_from_slice(option);
        self
    }
    /// An address for an hour, preferred for half of it; T1 and T2 are the client's to choose.
    fn lease(self) -> Answer {
        self.with(&ia(IAID, 0, 0, &address(own(), 1800, 3600)))
    }
}

/// A client and its time.
struct Host {
    client: Dhcpv6Client,
    random: Random,
    now: Instant,
    /// What it has sent, and when.
    sent: Vec<(Instant, Dhcpv6Kind)>,
    /// What it has told the stack besides.
    plans: Vec<(Instant, Plan6)>,
}

impl Host {
    fn seeded(config: Dhcpv6Config, seed: u8) -> Host {
        let mut client = Dhcpv6Client::new();
        client.set_up(config, MAC, IAID);
        let (sent, plans) = (Vec::new(), Vec::new());
        let mut host = Host { client, random: Random::new([seed; 32]), now: secs(1), sent, plans };
        host.client.on_link(true, host.now, &mut host.random);
        host
    }

    fn new(mode: Dhcpv6Mode) -> Host {
        Host::seeded(Dhcpv6Config { mode, ..Dhcpv6Config::DEFAULT }, 1)
    }

    fn carry_out(&mut self, plan: Plan6) {
        self.sent.extend(plan.send.map(|kind| (self.now, kind)));
        if (Plan6 { send: None, ..plan.clone() }) != Plan6::default() {
            self.plans.push((self.now, plan));
        }
    }

    /// Lets time pass until `until`.
    fn run(&mut self, until: Instant) {
        for _ in 0..100_000 {
            let Some(at) = self.client.deadline().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            let plan = self.client.on_timer(self.now, &mut self.random);
            self.carry_out(plan);
        }
        panic!("it does not come to rest in {:?}", self.client.state());
    }

    /// Lets time pass until the next message.
    fn until_sent(&mut self) -> Dhcpv6Kind {
        let before = self.sent.len();
        while self.sent.len() == before {
            let at = self.client.deadline().expect("something to do");
            self.run(at);
        }
        self.sent[before].1
    }

    fn answer(&mut self, answer: &Answer) -> Result<(), Drop> {
        let message = Dhcpv6Message::parse(&answer.0)?;
        let plan = self.client.on_packet(&message, self.now, &mut self.random)?;
        self.carry_out(plan);
        Ok(())
    }

    /// What it sends now, as bytes.
    fn message(&self, kind: Dhcpv6Kind) -> Vec<u8> {
        let mut buf = [0; MESSAGE6_LEN];
        let len = self.client.write(kind, self.now, &mut buf).unwrap();
        buf[..len].to_vec()
    }

    /// One that has its address.
    fn bound() -> Host {
        let mut host = Host::new(Dhcpv6Mode::Stateful);
        assert_eq!(host.until_sent(), Dhcpv6Kind::Solicit);
        let offer = Answer::new(Dhcpv6Kind::Advertise, &host).lease();
        host.answer(&offer).unwrap();
        assert_eq!(host.until_sent(), Dhcpv6Kind::Request);
        let reply = Answer::new(Dhcpv6Kind::Reply, &host).lease();
        host.answer(&reply).unwrap();
        assert_eq!(host.client.state(), Dhcpv6State::Bound);
        host
    }

    fn addresses(&self) -> Vec<Ipv6Addr> {
        self.client.addresses().iter().map(|leased| leased.address).collect()
    }
}
