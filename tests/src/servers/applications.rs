//! Real servers of applications at the kernel's end of a TAP: nginx(8), openssl(1), mosquitto(8), chronyd(8), coap-server(5).

use super::{Server, folder};
use crate::netns::KERNEL_V4;
use barenet_qemu::install;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// A key and a certificate that it has signed itself, in `folder`.
fn certificate(folder: &Path) -> [String; 2] {
    install::program("openssl", "openssl").unwrap_or_else(|why| panic!("{why}"));
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| path(&folder.join(name)));
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let rest = ["-days", "30", "-subj", "/CN=it", "-out", &cert, "-keyout", &key];
    let made = Command::new("openssl").args(kind).args(rest).stderr(Stdio::null()).status();
    assert!(made.expect("openssl").success(), "no certificate");
    [cert, key]
}

fn path(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Waits until something listens on a TCP port of the kernel's end.
fn listens(server: Server, port: u16) -> Server {
    server.when(&format!("TCP port {port}"), || TcpStream::connect((KERNEL_V4, port)).is_ok())
}

impl Server {
    /// nginx with a page `/page` of 100,000 bytes, on port 8080 and over TLS 1.3 on port 8443.
    pub fn nginx() -> Server {
        let folder = folder();
        let [cert, key] = certificate(&folder);
        std::fs::write(folder.join("page"), [b'x'; 100_000]).expect("a file");
        std::fs::write(folder.join("index.html"), "over TLS").expect("a file");
        let here = path(&folder);
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.map(|name| format!("{name}_temp_path {here}/{name};\n")).concat();
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/log;\nevents {{}}\n\
             http {{\n{temporary}access_log off; root {here};\n\
             server {{ listen {KERNEL_V4}:8080; }}\n\
             server {{ listen {KERNEL_V4}:8443 ssl; ssl_protocols TLSv1.3;\n\
             ssl_certificate {cert}; ssl_certificate_key {key}; }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config).expect("a file");
        let args = ["-e", "stderr", "-c", &path(&file)];
        listens(Server::start("nginx", "nginx-light", folder, &args), 8080)
    }

    /// `openssl s_server`, which answers with a page about the connection, over TLS 1.3 on port 4433.
    pub fn openssl() -> Server {
        let folder = folder();
        let [cert, key] = certificate(&folder);
        let accept = format!("{KERNEL_V4}:4433");
        let args = ["s_server", "-accept", &accept, "-tls1_3", "-www", "-cert", &cert, "-key", &key];
        listens(Server::start("openssl", "openssl", folder, &args), 4433)
    }

    /// mosquitto on port 1883, for everybody.
    pub fn mosquitto() -> Server {
        let folder = folder();
        let file = folder.join("mosquitto.conf");
        let config =
            format!("listener 1883 {KERNEL_V4}\nallow_anonymous true\npersistence false\nuser root\n");
        std::fs::write(&file, config).expect("a file");
        listens(Server::start("mosquitto", "mosquitto", folder, &["-c", &path(&file)]), 1883)
    }

    /// chronyd on port 123, by the machine's own clock, which it leaves alone.
    pub fn chronyd() -> Server {
        let folder = folder();
        let file = folder.join("chrony.conf");
        let here = path(&folder);
        let config = format!(
            "local stratum 8\nallow\nbindaddress {KERNEL_V4}\ncmdport 0\npidfile {here}/pid\nbindcmdaddress /\n"
        );
        std::fs::write(&file, config).expect("a file");
        let args = ["-d", "-x", "-U", "-u", "root", "-f", &path(&file)];
        Server::start("chronyd", "chrony", folder, &args).receives(123)
    }

    /// libcoap's server on port 5683.
    pub fn coap() -> Server {
        Server::start("coap-server-notls", "libcoap3-bin", folder(), &["-A", &KERNEL_V4.to_string()])
            .receives(5683)
    }
}
