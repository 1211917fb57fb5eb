//! Urgent data.

use super::*;

impl Bench {
    fn urgent(&self) -> Option<u32> {
        self.tcp.urgent(self.key.unwrap()).unwrap()
    }
}

/// T19, H038: urgent data stays in line; how far it reaches is told when it is marked and when the mark
/// moves on, and can be asked for until it was read.
//= rfc9293#3.8.5 MUST-30, MUST-32, MUST-33, MUST-62
#[test]
fn urgent_data_is_in_line() {
    let mut b = Bench::server();
    b.get(data(1, 1, b"before"));
    assert_eq!(b.urgent(), None);
    let told = b.wait(Interest::Read);
    b.get(data(7, 1, b"!!after").urgent(2));
    assert_eq!((b.urgent(), told.get()), (Some(8), 1));
    assert_eq!(b.read(7).unwrap(), b"before!");
    assert_eq!(b.urgent(), Some(1));
    // The same mark again is no news; a farther one is, without any payload of its own.
    let told = b.wait(Interest::Read);
    b.get(ack(14, 1).urgent(1));
    assert_eq!((b.urgent(), told.get()), (Some(7), 1));
    b.get(ack(14, 1).urgent(1));
    let told = b.wait(Interest::Read);
    b.get(data(7, 1, b"!!after").urgent(2));
    assert_eq!((b.urgent(), told.get()), (Some(7), 0));
    b.get(data(14, 1, b"?"));
    assert_eq!(b.read(99).unwrap(), b"!after?");
    assert_eq!(b.urgent(), None);
    b.get(fin(15, 1).urgent(9));
    assert_eq!((b.urgent(), b.read(9).unwrap().len()), (None, 0), "nothing is behind the end");
}

/// T19: urgent data of any length: the mark moves on with each segment.
//= rfc9293#3.8.5 MUST-31
#[test]
fn urgent_data_of_any_length() {
    let mut b = Bench::server();
    for n in 0..200 {
        b.get(data(1 + n * 1_000, 1, &[n as u8; 1_000]).urgent(u16::MAX));
        assert_eq!(b.read(1_000).unwrap().len(), 1_000);
        assert_eq!(b.urgent(), Some(65_535 - 1_000));
        b.out();
    }
}

/// T19: at a closed window too.
//= rfc9293#3.4 MUST-66
#[test]
fn urgent_at_a_closed_window() {
    let mut b = Bench::server_with(TcpConfig { receive_buffer: 2_000, ..quiet() }, syn());
    b.get(data(1, 1, &[1; 1_000]));
    b.get(data(1_001, 1, &[1; 1_000]));
    assert_eq!(b.out().last().unwrap().window, 0);
    b.get(data(2_001, 1, b"!").urgent(1));
    assert_eq!(b.urgent(), Some(2_001));
    assert_eq!(b.read(9_999).unwrap().len(), 2_000);
    assert_eq!(b.urgent(), Some(1), "its payload did not come");
}

/// F08: pointers to nowhere: none, beyond the payload, in retransmissions, in SYNs, far outside the window.
#[test]
fn odd_pointers_do_no_harm() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn().urgent(77));
    b.out();
    b.get(ack(1, 1).urgent(0));
    b.accept();
    assert_eq!(b.urgent(), None);
    for urgent in [0, 1, 2, 1460, 1461, u16::MAX] {
        b.get(data(1, 1, &pattern(1_460)).urgent(urgent));
        b.get(data(5_000, 1, b"beyond a hole").urgent(urgent));
        b.get(data(1_000_000, 1, b"outside").urgent(urgent));
        b.out();
    }
    assert_eq!(b.urgent(), Some(4_999 + 65_535));
    assert_eq!(b.read(9_999).unwrap(), pattern(1_460));
    b.get(rst(1_461).urgent(9));
    assert_eq!((b.urgent(), b.read(9)), (None, Err(Error::ConnectionReset)));
}
