//! Clients that vanish, at different moments: no FIN, no reset, no answer any more.

use std::collections::VecDeque;

use barenet::Serve;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::TcpHandle;

use super::*;

type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// One end of a cable.
struct End {
    mac: Mac,
    to: Queue,
    from: Queue,
}

fn cable() -> [End; 2] {
    let (a, b) = (Queue::default(), Queue::default());
    let mac = |n| Mac([2, 0, 0, 0, 0, n]);
    [End { mac: mac(1), to: a.clone(), from: b.clone() }, End { mac: mac(2), to: b, from: a }]
}

impl Device for End {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.mac, 1500)
    }
    fn receive(&mut self, take: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let frame = self.from.lock().pop_front();
        frame.map(|frame| take(RxFrame::plain(&[&frame]))).is_some()
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.to.lock().push_back(bytes);
        Ok(())
    }
    fn arm(&mut self) -> bool {
        self.from.lock().is_empty()
    }
}

fn address(n: u8) -> Cidr {
    Cidr::new([10, 0, 0, n].into(), 24).unwrap()
}

/// A machine with clients, until it vanishes.
struct Clients {
    stack: Stack<'static>,
    end: End,
    id: barenet::ip::InterfaceId,
}

impl Clients {
    fn new(end: End) -> Clients {
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
        let id = stack.add_interface(end.capabilities()).unwrap();
        stack.add_address(id, address(1), Instant::ZERO).unwrap();
        Clients { stack, end, id }
    }

    fn turn(&mut self, now: Instant) {
        let Clients { stack, end, id } = self;
        while end.receive(&mut |frame| stack.on_frame(*id, frame, now)) {}
        stack.on_timers(now);
        stack.egress(*id, end, now);
    }

    /// Both machines go on for as long.
    fn run(&mut self, net: &Net, ms: u64) {
        for _ in 0..ms {
            self.turn(net.now());
            net.pause(Duration::from_millis(1));
        }
    }
}

/// Clients of each kind.
const EACH: usize = 400;

/// T12: after their time clients that have vanished leave nothing behind: no connection, memory,
/// handler or place, whether they had said nothing, waited for an answer, or owed an acknowledgment.
#[test]
fn clients_that_vanish_leave_nothing() {
    let platform: &'static Virtual = Box::leak(Box::default());
    let fibers: &'static Fibers = Box::leak(Box::new(Fibers::new(platform)));
    let net = Net::new(Stack::new(Storage::heap(&Limits::default()), [7; 32]), platform, fibers).unwrap();
    let [here, there] = cable();
    net.add_interface(Box::new(there), &[address(2)], &[]).unwrap();
    let (active, own) = (Arc::new(AtomicUsize::new(0)), net.clone());
    let main = move || {
        let (listener, counted) = (listener(&own), active.clone());
        let serve = Serve::default().max_connections(3 * EACH);
        let server = move || {
            let _ = listener.serve_with(serve, move |mut flow, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut byte = [0];
                let served = flow.read_exact(&mut byte).and_then(|()| flow.write_all(&[byte[0]; 4096]));
                let served = served.and_then(|()| flow.read_exact(&mut byte));
                counted.fetch_sub(1, Ordering::SeqCst);
                served
            });
        };
        fibers.spawn("server".into(), Box::new(server), Box::new(|| {})).unwrap();
        let mut clients = Clients::new(here);
        let start = |clients: &mut Clients| {
            let to = std::net::SocketAddr::from(([10, 0, 0, 2], 7000));
            let flow = clients.stack.tcp_connect(to, None, own.now()).unwrap();
            clients.run(&own, 1);
            flow
        };
        let flows: Vec<TcpHandle> = (0..3 * EACH).map(|_| start(&mut clients)).collect();
        clients.run(&own, 2000);
        assert_eq!(active.load(Ordering::SeqCst), 3 * EACH);
        let ask = |clients: &mut Clients, flows: &[TcpHandle]| {
            for flow in flows {
                assert_eq!(clients.stack.tcp_write(*flow, b"?", own.now()), Ok(1));
            }
            clients.turn(own.now());
        };
        // Some have read their answer, some will never acknowledge theirs, some have said nothing.
        ask(&mut clients, &flows[..EACH]);
        clients.run(&own, 1000);
        ask(&mut clients, &flows[EACH..2 * EACH]);
        drop(clients);
        own.pause(Duration::from_secs(60));
        assert!(active.load(Ordering::SeqCst) > EACH, "their time is not over");
        own.pause(Duration::from_secs(200));
        assert_eq!(active.load(Ordering::SeqCst), 0);
        assert_eq!(own.with_stack(|stack| (stack.tcp_count(), stack.memory().0)), ((0, 0), 0));
    };
    assert_eq!(fibers.run(&net, Box::new(main)), Ok(Ended::Returned));
}
