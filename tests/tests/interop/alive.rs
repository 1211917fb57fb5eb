//! Keep-alive: who asks, and who answers.

use barenet::KeepAlive;
use barenet_tests::kernel::{Family, Opens, beside, counter, exchange, pair};
use rustix::net::sockopt;
use std::thread;
use std::time::Duration;

/// T12, H030: the kernel asks every second, and gives up at the second question without an answer.
#[test]
fn we_answer_keep_alives() {
    beside(true, |net| {
        let (mut ours, mut kernel) = pair(net, Family::V4, Opens::Kernel);
        sockopt::set_socket_keepalive(&kernel, true).unwrap();
        sockopt::set_tcp_keepidle(&kernel, Duration::from_secs(1)).unwrap();
        sockopt::set_tcp_keepintvl(&kernel, Duration::from_secs(1)).unwrap();
        sockopt::set_tcp_keepcnt(&kernel, 1).unwrap();
        let before = counter("TCPKeepAlive");
        while counter("TCPKeepAlive") < before + 3 {
            thread::sleep(Duration::from_millis(10));
        }
        exchange(&mut kernel, &mut ours, 1000);
    });
}

/// T12: we ask, and the kernel answers: the connection outlives more questions than it may leave
/// unanswered. Not more often than every 500 ms: for so long the kernel answers nobody again.
#[test]
fn the_kernel_answers_our_keep_alives() {
    beside(true, |net| {
        let (mut ours, mut kernel) = pair(net, Family::V6, Opens::Ours);
        let pause = Duration::from_millis(600).into();
        let asking = KeepAlive { idle: pause, interval: pause, probes: 1 };
        ours.configure(|options| options.keep_alive = Some(asking)).unwrap();
        let answers = || ours.info().unwrap().segments_received;
        let before = answers();
        while answers() < before + 3 {
            assert_eq!(ours.info().unwrap().error, None);
            thread::sleep(Duration::from_millis(10));
        }
        exchange(&mut ours, &mut kernel, 1000);
    });
}
