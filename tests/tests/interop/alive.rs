//! Keep-alive: who asks, and who answers.

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
