//! The programs in QEMU, without an operating system, with real servers at the kernel's end of a TAP.

#![cfg(target_os = "linux")]

use barenet_drivers::tap;
use barenet_tests::netns::{self, KERNEL_V4};
use barenet_tests::runner::cargo;
use barenet_tests::servers::Server;

#[test]
fn clients_without_an_operating_system_meet_real_servers() {
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        tap::configure(&tap, &[(KERNEL_V4.into(), 24)]).unwrap();
        let _servers = [
            Server::nginx(),
            Server::openssl(),
            Server::mosquitto(),
            Server::chronyd(),
            Server::coap(),
            Server::dnsmasq(&["--dhcp-range=10.0.0.50,10.0.0.59,2m", "--dhcp-authoritative"]),
        ];
        let programs: [(&str, &[&str], &str); 9] = [
            ("reqwless_client", &["http://10.0.0.1:8080/page"], "body of 100000 bytes"),
            ("edge_http_client", &["10.0.0.1:8080", "/page"], "body of 100000 bytes"),
            ("tls_client", &["10.0.0.1:8443", "it"], "bytes over TLS"),
            ("tls_client", &["10.0.0.1:4433", "it"], "bytes over TLS"),
            ("mqtt_client", &["10.0.0.1:1883"], "received over our sockets"),
            ("minimq_client", &["10.0.0.1:1883"], "received over our sockets"),
            ("sntp_client", &["10.0.0.1:123"], "seconds since 1970: 1"),
            ("coap_client", &["10.0.0.1:5683", "time"], "Response(Content)"),
            ("dhcp_lease", &[], "leased 10.0.0.5"),
        ];
        for (name, args, says) in programs {
            let mut command = cargo("qemu", &["--timeout", "120"]);
            command.args([name, "--tap", &tap, "--", "ip=10.0.0.2/24"]).args(args);
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.contains(says), "{name} {args:?}: {text}{errors}");
        }
    });
}
