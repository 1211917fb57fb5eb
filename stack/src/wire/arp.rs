//! ARP packets for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use smoltcp::wire::{ArpHardware, ArpOperation as Operation, ArpPacket as View, EthernetProtocol};

use super::ethernet;
use super::{ETHERNET_LEN, EtherType, LinkPath};
use crate::counters::Drop;
use crate::device::Mac;

/// Length of an ARP packet without the Ethernet header.
pub(crate) const ARP_LEN: usize = 28;

/// Question or answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ArpPacket {
    /// Question or answer.
    pub operation: ArpOperation,
    /// The sender's hardware address.
    pub sender_mac: Mac,
    /// The sender's protocol address.
    pub sender: Ipv4Addr,
    /// Whom it is for; zero in a request.
    pub target_mac: Mac,
    /// The address in question.
    pub target: Ipv4Addr,
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    Some(Mac(*bytes.first_chunk()?))
}

fn ip(bytes: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?))
}

impl ArpPacket {
    /// Reads the packet after an Ethernet header.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Drop> {
        let view = View::new_checked(packet).map_err(|_| Drop::ArpMalformed)?;
        let is_ours = view.hardware_type() == ArpHardware::Ethernet
            && view.protocol_type() == EthernetProtocol::Ipv4
            && (view.hardware_len(), view.protocol_len()) == (6, 4);
        if !is_ours {
            return Err(Drop::ArpMalformed);
        }
        let operation = match view.operation() {
            Operation::Request => ArpOperation::Request,
            Operation::Reply => ArpOperation::Reply,
            Operation::Unknown(_) => return Err(Drop::ArpMalformed),
        };
        let addresses = || {
            Some(ArpPacket {
                operation,
                sender_mac: mac(view.source_hardware_addr())?,
                sender: ip(view.source_protocol_addr())?,
                target_mac: mac(view.target_hardware_addr())?,
                target: ip(view.target_protocol_addr())?,
            })
        };
        addresses().ok_or(Drop::ArpMalformed)
    }

    /// The whole frame, Ethernet header included.
    pub(crate) fn emit(&self, destination: Mac) -> [u8; ETHERNET_LEN + ARP_LEN] {
        let mut frame = [0; ETHERNET_LEN + ARP_LEN];
        let link = LinkPath { source: self.sender_mac, destination };
        ethernet::emit(&mut frame, &link, EtherType::Arp);
        let mut view = View::new_unchecked(&mut frame[ETHERNET_LEN..]);
        view.set_hardware_type(ArpHardware::Ethernet);
        view.set_protocol_type(EthernetProtocol::Ipv4);
        view.set_hardware_len(6);
        view.set_protocol_len(4);
        view.set_operation(match self.operation {
            ArpOperation::Request => Operation::Request,
            ArpOperation::Reply => Operation::Reply,
        });
        view.set_source_hardware_addr(&self.sender_mac.0);
        view.set_source_protocol_addr(&self.sender.octets());
        view.set_target_hardware_addr(&self.target_mac.0);
        view.set_target_protocol_addr(&self.target.octets());
        frame
    }
}
