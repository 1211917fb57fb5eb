//! How long a connection waits: the user timeout, R2, and what is neither: a loop that stood still.

use super::*;

impl Bench {
    /// The machine stands still for so long; then come the timers that are due, and what they send.
    fn stand_still(&mut self, ms: u64) -> Vec<Out> {
        self.now += Duration::from_millis(ms);
        while let Some((_, _, outcome)) = self.tcp.expire(self.now, &mut self.pool) {
            self.note(outcome);
        }
        self.out()
    }

    /// The loop comes late, and no device takes anything.
    fn come_late_without_device(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        while let Some((_, _, outcome)) = self.tcp.expire(self.now, &mut self.pool) {
            self.note(outcome);
        }
    }

    /// Time passes while no device takes anything.
    fn advance_without_device(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.tcp.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            while let Some((_, _, outcome)) = self.tcp.expire(self.now, &mut self.pool) {
                self.note(outcome);
            }
        }
        self.now = end;
    }

    fn milliseconds_until_closed(&mut self) -> u64 {
        let start = self.now;
        while self.state() != State::Closed {
            assert!(self.now.since(start).millis() < 400_000, "never");
            self.advance(50);
        }
        self.now.since(start).millis()
    }
}

/// H252: The user timeout is a bound of every timer, whoever starts it: here an acknowledgment of half of what is
/// in flight, where the retransmission timer is for 6 s later.
//= rfc9293#3.8.3 MUST-20
#[test]
fn user_timeout_after_an_acknowledgment() {
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn());
    b.out();
    b.now += Duration::from_millis(2_000);
    b.get(ack(1, 1));
    b.accept();
    b.configure(|o| o.user_timeout = Some(Duration::from_secs(1)));
    b.write(&pattern(2 * MSS as usize)).unwrap();
    b.out();
    b.advance(500);
    b.get(ack(1, 1 + MSS));
    assert_eq!(b.milliseconds_until_closed(), 1_000);
    assert_eq!(b.read(1), Err(Error::TimedOut));
}

/// And so it bounds the timers of the tail and of reordering, and a window that stays closed.
#[test]
fn user_timeout_with_every_timer() {
    let start = |window| {
        let mut b = Bench::server_with(quiet(), syn().sack_permitted().win(window));
        b.configure(|o| o.user_timeout = Some(Duration::from_millis(100)));
        b.write(&pattern(4 * MSS as usize)).unwrap();
        b.out();
        b
    };
    for window in [0, 65_535] {
        assert_eq!(start(window).milliseconds_until_closed(), 100, "with a window of {window}");
    }
}

/// H251: A pause of ten minutes is no silence of the peer: what was due is tried, as often as it needs.
//= rfc9293#3.8.3: R2 is time and retransmissions
#[test]
fn a_machine_that_stood_still() {
    let ten_minutes = 600_000;
    for patience in [None, Some(Duration::from_secs(300))] {
        let mut b = Bench::server();
        b.configure(|o| o.user_timeout = patience);
        b.write(b"half a request").unwrap();
        b.out();
        assert_eq!(b.stand_still(ten_minutes).len(), 1, "data goes again");
        assert_eq!(b.state(), State::Established);
        let left = b.milliseconds_until_closed();
        assert!((180_000..=310_000).contains(&left), "{left} ms");

        let mut b = Bench::connecting(quiet());
        b.configure(|o| o.user_timeout = patience);
        b.out();
        assert_eq!(b.stand_still(ten_minutes).len(), 1, "the SYN goes again");
        assert_eq!(b.state(), State::SynSent);
        let left = b.milliseconds_until_closed();
        assert!((170_000..=310_000).contains(&left), "{left} ms");

        let mut b = Bench::server_with(quiet(), syn().win(0));
        b.configure(|o| o.user_timeout = patience);
        b.write(b"waits for the window").unwrap();
        b.out();
        assert_eq!(b.stand_still(ten_minutes).len(), 1, "the window is probed");
        assert_eq!(b.state(), State::Established);
        let left = b.milliseconds_until_closed();
        assert!((170_000..=310_000).contains(&left), "{left} ms");

        let mut b = Bench::server();
        b.configure(|o| o.user_timeout = patience);
        b.shutdown();
        b.out();
        b.close();
        assert_eq!(b.stand_still(ten_minutes).len(), 1, "an orphan's FIN goes again");
        assert_eq!(b.tcp.len(), 1);
    }
}

/// What was written and never sent before the pause is sent after it.
#[test]
fn a_machine_that_stood_still_before_it_sent() {
    let mut b = Bench::server();
    b.write(b"a request").unwrap();
    assert_eq!(b.stand_still(600_000).len(), 1);
    let mut b = Bench::connecting(quiet());
    assert_eq!(b.stand_still(600_000).len(), 1);
    assert_eq!(b.state(), State::SynSent);
}

/// A loop that is always seconds late ends a connection as well.
#[test]
fn a_loop_that_is_always_late() {
    let mut b = Bench::server();
    b.write(b"anybody?").unwrap();
    b.out();
    for _ in 0..1_000 {
        b.stand_still(5_000);
    }
    assert_eq!(b.read(1), Err(Error::TimedOut));
}

/// H010, H026: nor does a loop that is always late wait for ever where nothing can be sent: payload, a SYN-ACK or a SYN that
/// no neighbour takes.
#[test]
fn always_late_loop_nothing_can_be_sent_times_out() {
    let mut established = Bench::server();
    established.write(b"anybody?").unwrap();
    let mut half_open = Bench::listening(quiet(), 4);
    half_open.get(syn());
    for (mut b, is_held) in [(established, true), (half_open, false), (Bench::connecting(quiet()), true)] {
        assert_eq!(b.tcp.len(), 1);
        for _ in 0..1_000 {
            b.come_late_without_device(2_000);
        }
        match is_held {
            true => assert_eq!(b.read(1), Err(Error::TimedOut)),
            false => assert_eq!(b.tcp.len(), 0),
        }
    }
}

/// Questions of keep-alive count, not the time that the machine stood still between them.
//= rfc9293#3.8.4 MUST-29
#[test]
fn keep_alive_over_a_pause() {
    use crate::tcp::KeepAlive;
    let (idle, interval) = (Duration::from_secs(10), Duration::from_secs(5));
    for patience in [None, Some(Duration::from_secs(25))] {
        let mut b = Bench::server();
        b.configure(|o| {
            (o.keep_alive, o.user_timeout) = (Some(KeepAlive { idle, interval, probes: 3 }), patience)
        });
        assert_eq!(b.advance(11_000).len(), 1);
        assert_eq!(b.stand_still(600_000).len(), 1, "the second question");
        assert_eq!(b.state(), State::Established);
        assert!(b.milliseconds_until_closed() <= 10_000);
    }
}

/// H269: A device that takes nothing switches no timeout off, for what was written, for a FIN, for a SYN or for a
/// SYN-ACK; nor does a neighbour that nobody knows.
#[test]
fn patience_without_a_transmission() {
    for (patience, least, most) in [(None, 170_000, 182_000), (Some(1_500), 1_400, 1_600)] {
        let patience = patience.map(Duration::from_millis);
        let (before, after) = (least, most - least);
        let mut b = Bench::server();
        b.configure(|o| o.user_timeout = patience);
        b.write(b"never sent").unwrap();
        b.advance_without_device(before);
        assert_eq!(b.state(), State::Established);
        b.advance_without_device(after);
        assert_eq!(b.read(1), Err(Error::TimedOut));

        let mut b = Bench::server();
        b.configure(|o| o.user_timeout = patience);
        b.shutdown();
        b.advance_without_device(before);
        assert_eq!(b.state(), State::FinWait1);
        b.advance_without_device(after);
        assert_eq!(b.read(1), Err(Error::TimedOut));

        let mut b = Bench::connecting(quiet());
        b.configure(|o| o.user_timeout = patience);
        b.advance_without_device(before);
        assert_eq!(b.connected(), Err(Error::WouldBlock));
        b.advance_without_device(after);
        assert_eq!(b.connected(), Err(Error::TimedOut));
    }
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn());
    b.advance_without_device(182_000);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// What goes out at last has its patience anew.
#[test]
fn a_device_that_takes_it_at_last() {
    let mut b = Bench::server();
    b.write(b"late").unwrap();
    b.advance_without_device(100_000);
    assert_eq!(b.out().len(), 1);
    assert!(b.milliseconds_until_closed() >= 180_000);
}

/// H019: Nobody waits for an orphan for ever, whatever it was about to send when its way was lost: its address is
/// gone, or its device takes nothing.
#[test]
fn orphans_end_without_a_way() {
    let small = MSS as u16 / 4;
    for (first, then) in [(0, 0), (small, small), (65_535, 65_535), (65_535, 0), (65_535, small), (0, small)]
    {
        for case in 0..16 {
            let mut b = Bench::server_with(quiet(), syn().sack_permitted().win(first));
            let [is_sent, is_unread, is_finished, is_acked] = [1, 2, 4, 8].map(|bit| case & bit != 0);
            if !is_sent {
                b.get(ack(1, 1).win(then));
            }
            b.write(&pattern(4 * MSS as usize)).unwrap();
            let sent = if is_sent { b.out().iter().map(Out::len).sum() } else { 0 };
            if is_sent {
                b.get(ack(1, 1 + if is_acked { sent } else { 0 }).win(then));
            }
            if is_unread {
                b.get(data(1, 1, b"unread").win(then));
            }
            if is_finished {
                b.get(fin(if is_unread { 7 } else { 1 }, 1).win(then));
            }
            b.close();
            b.advance_without_device(1_200_000);
            let left = (b.tcp.len(), b.pool.in_use(), b.tcp.deadline());
            assert_eq!(left, (0, 0, None), "windows of {first} and {then}, case {case}: {:?}", b.state());
        }
    }
}

/// H252: patience with a device that takes nothing is not renewed by what the peer sends meanwhile.
#[test]
fn a_peer_that_talks_does_not_renew_patience_with_a_device() {
    let mut b = Bench::server();
    b.configure(|o| o.user_timeout = Some(Duration::from_secs(5)));
    b.write(b"for a device that is full").unwrap();
    for n in 0..11 {
        assert_eq!(b.state(), State::Established, "{n}");
        // Another window each time, so that it does not take the short way.
        b.get(data(1 + n, 1, b"x").win(60_000 + n as u16));
        b.advance_without_device(if n < 10 { 490 } else { 200 });
    }
    assert_eq!((b.state(), b.write(b"x")), (State::Closed, Err(Error::TimedOut)));
}

/// H251: what a loop that stood still makes of the silence before: none of it counts while little was tried; later,
/// what it did not sleep through. A loop that is a little late was waiting.
#[test]
fn silence_after_a_gap() {
    use crate::tcp::send::timer::since_after_gap;
    let s = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let just_in_time = s(2) - Duration::from_millis(1);
    for (was_tried, now, since) in [
        (false, just_in_time, s(0)),
        (false, s(600), s(600)),
        (true, just_in_time, s(0)),
        (true, s(600), s(599)),
        (true, s(2), s(1)),
    ] {
        assert_eq!(since_after_gap(s(0), s(1), was_tried, now), since, "tried: {was_tried}, at {now:?}");
    }
}
