//! The conformance suite of the sockets, in each way of waiting, over IPv4 and IPv6, beside the Linux kernel's sockets.
//!
//! Contract M1, M2, M3, M10, M12, M13, M14, M17, M21, E2, E11, E13, E24, E28, L8, U9, U10, D15.

use barenet::stack::Limits;
use barenet::wait::Spin;
use barenet_boards::fiber::Ended;
use barenet_tests::conformance::serve;
use barenet_tests::kernel::{Family, PATIENCE, beside, fibers_and_network, machine, network, within};
use barenet_tests::netns;

fn spin(family: Family) {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(true);
            serve(family.kernel());
            let platform = machine(tap.events());
            let net = network(tap, platform, &Spin, &Limits::default());
            barenet_conformance::run(&net, family.kernel(), |done| println!("{done}"));
        });
    });
}

fn threads(family: Family) {
    beside(true, |net| {
        serve(family.kernel());
        barenet_conformance::run_with_tasks(net, family.kernel(), |done| println!("{done}"));
    });
}

fn fibers(family: Family) {
    within(PATIENCE, || {
        netns::run(|| {
            let (fibers, net) = fibers_and_network();
            serve(family.kernel());
            let own = net.clone();
            let main = move || {
                barenet_conformance::run_with_tasks(&own, family.kernel(), |done| println!("{done}"));
            };
            assert_eq!(fibers.run(&net, Box::new(main)), Ok(Ended::Returned));
        });
    });
}

#[test]
fn one_thread_that_spins_conforms_over_ipv4() {
    spin(Family::V4);
}

#[test]
fn one_thread_that_spins_conforms_over_ipv6() {
    spin(Family::V6);
}

#[test]
fn threads_conform_over_ipv4() {
    threads(Family::V4);
}

#[test]
fn threads_conform_over_ipv6() {
    threads(Family::V6);
}

#[test]
fn fibers_conform_over_ipv4() {
    fibers(Family::V4);
}

#[test]
fn fibers_conform_over_ipv6() {
    fibers(Family::V6);
}
