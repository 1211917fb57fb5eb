//! The server's end: one test after another.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use barenet::time::Duration;
use barenet::{Error, Net, TcpListener, TcpStream};
use barenet_boards::println;

use crate::control::{Control, within};
use crate::messages::{Cookie, Parameters, Results, STREAMS_MAX, UNIMPLEMENTED, state};
use crate::streams::{Streams, show};

/// How long the client may take to open its streams, and beyond its own time to end its test.
const PATIENCE: Duration = Duration::from_secs(30);
/// A test by bytes may last so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Serves on `port`, for ever or `once`.
pub(crate) fn run(net: &Net, port: u16, once: bool) -> Result<(), Error> {
    let listener = TcpListener::bind(net, port)?;
    println!("iperf3 on {}", listener.local_addr());
    loop {
        let (mut flow, peer) = listener.accept()?;
        flow.set_read_timeout(Some(PATIENCE));
        let mut cookie = [0; size_of::<Cookie>()];
        if flow.read_exact(&mut cookie).is_err() {
            continue; // somebody looked whether the port is open
        }
        let control = Control::new(flow)?;
        let ended = serve(net, &listener, control, &cookie, peer);
        if let Err(why) = ended {
            println!("{peer}: {why}");
        }
        if once {
            return ended;
        }
    }
}

fn serve(
    net: &Net,
    listener: &TcpListener,
    mut control: Control,
    cookie: &Cookie,
    peer: SocketAddr,
) -> Result<(), Error> {
    control.say(&[state::PARAM_EXCHANGE])?;
    let parameters: Parameters = control.hear_json()?;
    let possible = parameters.tcp && !parameters.bidirectional;
    if !possible || !(1..=STREAMS_MAX as u32).contains(&parameters.parallel) {
        control.say(&[state::SERVER_ERROR])?;
        control.say(&UNIMPLEMENTED.to_be_bytes())?;
        control.say(&0u32.to_be_bytes())?;
        return Err(Error::InvalidInput("there is only TCP, one direction, and up to 32 streams"));
    }
    control.say(&[state::CREATE_STREAMS])?;
    let flows = accept(net, listener, cookie, parameters.parallel)?;
    println!("{peer}: {} streams, the {} sends", flows.len(), sender(&parameters));
    control.say(&[state::TEST_START, state::TEST_RUNNING])?;
    let mut streams = Streams::new(flows, parameters.reverse, net.now());
    let longest = match parameters.time {
        0 => LONGEST,
        seconds => Duration::from_secs((seconds + parameters.omit).into()) + PATIENCE,
    };
    within(net, longest, |cx| measure(cx, listener, &mut control, &mut streams))?;
    let ours = streams.results(net.now());
    // The client may wait for the rest of a block: the end is as good.
    drop(streams);
    control.say(&[state::EXCHANGE_RESULTS])?;
    let theirs: Results = control.hear_json()?;
    control.say_json(&ours)?;
    control.say(&[state::DISPLAY_RESULTS])?;
    show(&ours, &theirs);
    match control.hear()? {
        [state::IPERF_DONE] => Ok(()),
        _ => Err(Error::InvalidInput("the client did not end in order")),
    }
}

fn sender(parameters: &Parameters) -> &'static str {
    if parameters.reverse { "server" } else { "client" }
}

/// The client's streams, in their order. Others are told to come later.
fn accept(net: &Net, listener: &TcpListener, cookie: &Cookie, count: u32) -> Result<Vec<TcpStream>, Error> {
    let mut flows = Vec::new();
    while flows.len() < count as usize {
        let (mut flow, _) = within(net, PATIENCE, |cx| listener.poll_accept(cx))?;
        flow.set_read_timeout(Some(PATIENCE));
        let mut named = [0; size_of::<Cookie>()];
        flow.read_exact(&mut named)?;
        match named == *cookie {
            true => flows.push(flow),
            false => refuse(flow),
        }
    }
    Ok(flows)
}

fn refuse(mut flow: TcpStream) {
    // Who does not hear it sees the connection end.
    let _ = flow.try_write(&[state::ACCESS_DENIED]);
}

/// Ready when the client has ended the test.
fn measure(
    cx: &mut Context<'_>,
    listener: &TcpListener,
    control: &mut Control,
    streams: &mut Streams,
) -> Poll<Result<(), Error>> {
    while let Poll::Ready(accepted) = listener.poll_accept(cx) {
        refuse(accepted?.0);
    }
    match control.poll_state(cx) {
        Poll::Ready(Ok(state::TEST_END)) => return Poll::Ready(Ok(())),
        Poll::Ready(Ok(state::CLIENT_TERMINATE)) => return Poll::Ready(Err(Error::ConnectionAborted)),
        Poll::Ready(Ok(_)) => {
            return Poll::Ready(Err(Error::InvalidInput("the client said something out of place")));
        }
        Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
        Poll::Pending => {}
    }
    match streams.poll(cx) {
        Ok(()) => Poll::Pending,
        Err(why) => Poll::Ready(Err(why)),
    }
}
