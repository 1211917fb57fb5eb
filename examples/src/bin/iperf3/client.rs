//! The client's end: one test.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use barenet::time::Duration;
use barenet::{Error, Net, TcpStream};
use barenet_boards::println;

use crate::control::{Control, within};
use crate::messages::{Cookie, Parameters, Results, WRITE_LEN, state};
use crate::streams::{Streams, show};

/// How long the last writes may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A test by bytes may last so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Does what the server asks for, to the end of the test.
pub(crate) fn run(net: &Net, server: SocketAddr, parameters: &Parameters) -> Result<(), Error> {
    let parameters = Parameters { len: WRITE_LEN, ..parameters.clone() };
    let cookie = cookie(net.now().micros());
    let flow = TcpStream::connect(net, server).inspect_err(|_| println!("can't connect to {server}"))?;
    let mut control = Control::new(flow)?;
    control.say(&cookie)?;
    let mut streams = Streams::new(Vec::new(), !parameters.reverse, net.now());
    let (mut ours, mut theirs) = (Results::default(), Results::default());
    loop {
        let [next] = control.hear()?;
        match next {
            state::PARAM_EXCHANGE => control.say_json(&parameters)?,
            state::CREATE_STREAMS => {
                let flows = connect(net, server, &cookie, parameters.parallel)?;
                streams = Streams::new(flows, !parameters.reverse, net.now());
            }
            state::TEST_START => {}
            state::TEST_RUNNING => {
                measure(net, &parameters, &mut control, &mut streams)?;
                ours = streams.results(net.now());
                control.say(&[state::TEST_END])?;
            }
            state::EXCHANGE_RESULTS => {
                control.say_json(&ours)?;
                theirs = control.hear_json()?;
            }
            state::DISPLAY_RESULTS => {
                show(&ours, &theirs);
                return control.say(&[state::IPERF_DONE]);
            }
            state::ACCESS_DENIED => return Err(Error::InvalidInput("the server is busy with another test")),
            state::SERVER_TERMINATE => return Err(Error::InvalidInput("the server was stopped")),
            _ => return Err(Error::InvalidInput("the server reports an error")),
        }
    }
}

/// 36 of the letters and digits that iperf3 uses, different from test to test.
fn cookie(seed: u64) -> Cookie {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut cookie = [0; size_of::<Cookie>()];
    let mut x = seed;
    for letter in &mut cookie[..36] {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *letter = alphabet[(x >> 59) as usize];
    }
    cookie
}

fn connect(net: &Net, server: SocketAddr, cookie: &Cookie, count: u32) -> Result<Vec<TcpStream>, Error> {
    let open = |_| {
        let mut flow = TcpStream::connect(net, server)?;
        flow.write_all(cookie)?;
        Ok(flow)
    };
    (0..count).map(open).collect()
}

/// Moves bytes until time or bytes are over.
fn measure(
    net: &Net,
    parameters: &Parameters,
    control: &mut Control,
    streams: &mut Streams,
) -> Result<(), Error> {
    let longest = match parameters.time {
        0 => LONGEST,
        seconds => Duration::from_secs(seconds.into()),
    };
    let ended = within(net, longest, |cx| step(cx, parameters.num, control, streams));
    match ended {
        Err(Error::TimedOut) if parameters.time > 0 => {}
        ended => ended?,
    }
    within(net, PATIENCE, |cx| streams.poll_rest(cx))
}

fn step(
    cx: &mut Context<'_>,
    most: u64,
    control: &mut Control,
    streams: &mut Streams,
) -> Poll<Result<(), Error>> {
    if let Poll::Ready(said) = control.poll_state(cx) {
        return Poll::Ready(said.and(Err(Error::InvalidInput("the server ended the test"))));
    }
    match streams.poll(cx) {
        Ok(()) if most > 0 && streams.bytes() >= most => Poll::Ready(Ok(())),
        Ok(()) => Poll::Pending,
        Err(why) => Poll::Ready(Err(why)),
    }
}
