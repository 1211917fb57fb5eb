//! The client against servers of every kind, in virtual time.

use core::net::Ipv4Addr;
use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::base::random::Random;
use crate::counters::Drop;
use crate::device::Mac;
use crate::time::Instant;
use crate::wire::{DhcpKind, DhcpMessage};

mod leases;
mod states;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn secs(s: u64) -> Instant {
    Instant::from_millis(s * 1000)
}

/// A message of a server: options as they lie in the packet.
#[derive(Clone)]
struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn bare(xid: u32, yours: Ipv4Addr) -> Answer {
        let mut bytes = std::vec![0; 240];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&xid.to_be_bytes());
        bytes[16..20].copy_from_slice(&yours.octets());
        bytes[28..34].copy_from_slice(&MAC.0);
        bytes[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        Answer { bytes }
    }

    fn with(mut self, code: u8, value: &[u8]) -> Answer {
        self.bytes.extend([code, value.len() as u8]);
        self.bytes.extend(value);
        self
    }

    /// What every good offer and acknowledgment has, for an hour.
    fn good(kind: DhcpKind, xid: u32) -> Answer {
        Answer::of(kind, xid, SERVER, OWN, 3600)
    }

    fn of(kind: DhcpKind, xid: u32, server: Ipv4Addr, yours: Ipv4Addr, lease: u32) -> Answer {
        let answer = Answer::bare(xid, yours).with(53, &[kind as u8]).with(54, &server.octets());
        match kind {
            DhcpKind::Nak => answer,
            _ => answer.with(51, &lease.to_be_bytes()).with(1, &[255, 255, 255, 0]),
        }
    }
}

/// A client and its time.
struct Host {
    client: DhcpClient,
    random: Random,
    now: Instant,
    /// What it has sent, and when.
    sent: Vec<(Instant, Outgoing)>,
    /// What it has told the stack besides.
    plans: Vec<(Instant, Plan)>,
}

impl Host {
    fn new(config: DhcpConfig) -> Host {
        Host::seeded(config, 1)
    }

    fn seeded(config: DhcpConfig, seed: u8) -> Host {
        let mut client = DhcpClient::new();
        client.set_up(config, (MAC, 1, 1500), OWN);
        let mut random = Random::new([seed; 32]);
        client.on_link(true, Instant::ZERO, &mut random);
        Host { client, random, now: Instant::ZERO, sent: Vec::new(), plans: Vec::new() }
    }

    fn quick() -> Host {
        Host::new(DhcpConfig { conflict_detection: ConflictDetection::Off, ..DhcpConfig::DEFAULT })
    }

    fn carry_out(&mut self, plan: Plan) {
        if let Some(message) = plan.send {
            self.sent.push((self.now, message));
        }
        if (Plan { send: None, ..plan }) != Plan::default() {
            self.plans.push((self.now, plan));
        }
    }

    /// Lets time pass until something was sent, or until `limit`. True: it was.
    fn run_to_message(&mut self, limit: Instant) -> bool {
        let before = self.sent.len();
        while self.sent.len() == before {
            match self.client.deadline() {
                Some(at) if at <= limit => {
                    assert!(at >= self.now || at == Instant::ZERO, "a deadline in the past");
                    self.now = self.now.max(at);
                    let plan = self.client.on_timer(self.now, &mut self.random);
                    self.carry_out(plan);
                }
                _ => {
                    self.now = limit;
                    return false;
                }
            }
        }
        true
    }

    fn run(&mut self, until: Instant) {
        while self.run_to_message(until) {}
    }

    fn input(&mut self, answer: &Answer) -> Result<(), Drop> {
        let message = DhcpMessage::parse(&answer.bytes)?;
        let plan = self.client.on_packet(&message, self.now, &mut self.random)?;
        self.carry_out(plan);
        Ok(())
    }

    fn xid(&self) -> u32 {
        self.sent.last().unwrap().1.xid
    }

    fn last(&self) -> Outgoing {
        self.sent.last().unwrap().1
    }

    fn answer(&mut self, kind: DhcpKind) {
        let answer = Answer::good(kind, self.xid());
        self.input(&answer).unwrap();
    }

    /// Until the lease of `seconds` is asked for and granted.
    fn lease(&mut self, seconds: u32) {
        assert!(self.run_to_message(secs(10)));
        for kind in [DhcpKind::Offer, DhcpKind::Ack] {
            let answer = Answer::of(kind, self.xid(), SERVER, OWN, seconds);
            self.input(&answer).unwrap();
        }
    }

    /// The message as a server gets it.
    fn written(&self) -> Vec<u8> {
        let mut buf = [0; MESSAGE_LEN];
        let len = self.client.write(&self.last(), false, &mut buf);
        buf[..len].to_vec()
    }

    fn unbound(&self) -> Option<Instant> {
        self.plans.iter().find(|(_, plan)| plan.unbind.is_some()).map(|(at, _)| *at)
    }
}

/// The value of an option in a message of ours.
fn option_of(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = &message[240..];
    loop {
        match rest {
            [255, ..] | [] => return None,
            [0, after @ ..] => rest = after,
            [code, len, after @ ..] => {
                let (value, after) = after.split_at(usize::from(*len));
                if *code == wanted {
                    return Some(value);
                }
                rest = after;
            }
            [_] => panic!("cut off"),
        }
    }
}
