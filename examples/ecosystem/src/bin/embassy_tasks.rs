//! `embassy-executor` and `embassy-time`: a task that echoes on port 7, and one that counts time.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, TcpListener};
use barenet_boards::{println, run_executor};
use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Timer, with_timeout};

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 7)?;
    run_executor(&net, |spawner| {
        spawner.spawn(count().expect("the only one"));
        spawner.spawn(accept(spawner, listener).expect("the only one"));
    })
}

#[embassy_executor::task]
async fn count() {
    let started = Instant::now();
    for n in 1.. {
        Timer::at(started + Duration::from_millis(100) * n).await;
        println!("tick {n} after {} ms", started.elapsed().as_millis());
    }
}

#[embassy_executor::task]
async fn accept(spawner: Spawner, listener: TcpListener) {
    while let Ok((stream, peer)) = listener.accept_async().await {
        match echo(stream) {
            Ok(task) => spawner.spawn(task),
            Err(_) => println!("{peer}: too many at a time"),
        }
    }
}

#[embassy_executor::task(pool_size = 4)]
async fn echo(mut stream: barenet::TcpStream) {
    let mut buf = [0; 512];
    while let Ok(Ok(n @ 1..)) = with_timeout(PATIENCE, stream.read_async(&mut buf)).await {
        if stream.write_all_async(&buf[..n]).await.is_err() {
            return;
        }
    }
}
