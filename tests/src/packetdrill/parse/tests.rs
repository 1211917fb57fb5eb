use super::super::script::{AccEcnField, Body, Ecn, Quote, TcpOption, Value, flag};
use super::*;

fn one(line: &str) -> Event {
    let mut script = parse(line, &[]).unwrap_or_else(|e| panic!("{line}: {e}"));
    assert_eq!(script.events.len(), 1, "{line}");
    script.events.remove(0)
}

fn packet_of(line: &str) -> super::super::script::Packet {
    match one(line).what {
        What::Packet(packet) => packet,
        other => panic!("{line}: {other:?}"),
    }
}

fn call_of(line: &str) -> super::super::script::Call {
    match one(line).what {
        What::Call(call) => call,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(script: &str) -> String {
    parse(script, &[]).expect_err("it must not parse").to_string()
}

#[test]
fn every_form_of_time() {
    let when = |time: &str| one(&format!("{time} > . 1:1(0) ack 1")).when;
    assert_eq!(when("1"), When::At(1_000_000));
    assert_eq!(when(".25"), When::At(250_000));
    assert_eq!(when("+0.0000015"), When::After(1));
    assert_eq!(when("*"), When::Any);
    assert_eq!(when("1.5~2"), When::AtBetween(1_500_000, 2_000_000));
    assert_eq!(when("+.9~+1.1"), When::AfterBetween(900_000, 1_100_000));
    let call = call_of("+0...0.2 read(3, ..., 10) = 10");
    assert_eq!((call.end, call.name.as_str()), (Some(200_000), "read"));
    assert_eq!(call_of("1.000...1.500 accept(3, ..., ...) = 4").end, Some(1_500_000));
    assert_eq!(refused("* close(3) = 0"), "1:3: only a packet that the stack sends can have such a time");
    assert_eq!(refused("2~1 > . 1:1(0)"), "1:4: the range of times is backwards");
    assert_eq!(
        refused("0\n+1~2 > . 1:1(0)"),
        "2:1: expected a packet or a system call, found \"+1~2 > . 1:1(0)\""
    );
}

#[test]
fn options_commands_and_code() {
    let script = parse(
        "--ip_version=ipv4 --tolerance_usecs=75000\n--define=PORT=80 --verbose\n`init //`\n\
         0 `sysctl -w a=1`\n+0 %{\nassert a == 1, b\n}% // c\n`cleanup`",
        &[],
    )
    .unwrap();
    assert_eq!(script.option("tolerance_usecs"), Some("75000"));
    assert_eq!((script.option("define"), script.option("verbose")), (Some("PORT=80"), Some("")));
    let what = |i: usize| match &script.events[i].what {
        What::Shell(text) | What::Code(text) => text.trim(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (what(0), what(1), what(2), what(3)),
        ("init //", "sysctl -w a=1", "assert a == 1, b", "cleanup")
    );
    assert_eq!(script.events[2].line, 5);
    assert_eq!(script.events[1].text, "`sysctl -w a=1`");
}

#[test]
fn calls_with_all_kinds_of_arguments() {
    let call =
        call_of("0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 4000}], msg_flags=0}, MSG_A|MSG_B) = 7");
    let Value::Struct(fields) = &call.arguments[1] else { panic!() };
    let names: Vec<_> = fields.iter().map(|(n, _)| n.as_deref().unwrap()).collect();
    assert_eq!(names, ["msg_name", "msg_iov", "msg_flags"]);
    assert_eq!(call.arguments[2], Value::Or(vec![Value::Word("MSG_A".into()), Value::Word("MSG_B".into())]));
    let call = call_of("0 fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)");
    assert_eq!((call.result, call.errno), (Value::Int(2), None));
    let call = call_of(
        "0 connect(3, {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr(\"1.2.3.4\")}, ...) = -1 EINPROGRESS (Operation now in progress)",
    );
    assert_eq!((call.result, call.errno.as_deref()), (Value::Int(-1), Some("EINPROGRESS")));
    assert_eq!(
        call.arguments[1].to_string(),
        "{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"1.2.3.4\")}"
    );
    let call = call_of("0 write(4, \"a\\x41\" \"b\"..., 3) = 3");
    assert_eq!(call.arguments[1], Value::Text("aAb".into()));
    let call = call_of("0 poll([{fd=4, events=POLLIN|POLLERR, revents=0}], 1, 100) = 1");
    assert!(matches!(&call.arguments[0], Value::List(all) if all.len() == 1));
    assert_eq!(refused("0 close(3 = 0"), "1:11: expected \",\" or \")\", found \"= 0\"");
    assert_eq!(refused("0 close(3)"), "1:11: expected \"=\", found the end of the script");
}

#[test]
fn segments() {
    let packet = packet_of(
        "+0 < [ce] SEWA 10:20(10) ack 5 win 100 urg 3 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 2>",
    );
    assert!(packet.inbound && packet.ip.ecn == Some(Ecn::Ce));
    let Body::Tcp(s) = packet.body else { panic!() };
    assert_eq!(s.flags, flag::SYN | flag::ECE | flag::CWR | flag::AE);
    assert_eq!((s.seq, s.len, s.ack, s.window, s.urgent), (10, 10, 5, Some(100), 3));
    use TcpOption as O;
    let expected = [O::Mss(1460), O::Nop, O::WindowScale(6), O::SackOk, O::Timestamps(1, 2)];
    assert_eq!(s.options.unwrap(), expected);
    let Body::Tcp(s) = packet_of("0 > 8080 > 4000 FP. 1:1(0) <...>").body else { panic!() };
    assert_eq!((s.flags, s.options, s.window), (flag::FIN | flag::PSH | flag::ACK, None, None));
    assert_eq!(packet_of("0 > 8080>4000 . 1:1(0)").ports, Some((8080, 4000)));
    let Body::Tcp(s) =
        packet_of("0 > 5. 1:1(0) <nop,nop,sack 1:2 4294967295:9,FO 0aff,FO,ECN e1b 1 ceb 0>").body
    else {
        panic!()
    };
    assert_eq!(s.flags, flag::ACK | flag::AE | flag::ECE);
    let ecn = O::AccEcn(vec![(AccEcnField::E1b, 1), (AccEcnField::Ceb, 0)]);
    let sack = O::Sack(vec![(1, 2), (u32::MAX, 9)]);
    let fast = [O::FastOpen(vec![10, 255], false), O::FastOpen(Vec::new(), false)];
    let [f1, f2] = fast;
    assert_eq!(s.options.unwrap(), [O::Nop, O::Nop, sack, f1, f2, ecn]);
    assert_eq!(packet_of("0 > (tos 0x10, flowlabel 0x1) - 1:1(0)").ip.tos, Some(16));
    assert_eq!(refused("0 > . 1:3(1) ack 1"), "1:11: first sequence number, end and length do not agree");
    assert_eq!(refused("0 < . 1:1(0) ack 1 <...>"), "1:25: ... is only for packets that the stack sends");
    assert_eq!(refused("0 < . 1:1(0) win 65536"), "1:18: the window is out of range");
    assert_eq!(refused("0 < S 1:1(0) <mss>"), "1:18: expected a number, found \">\"");
    assert_eq!(
        refused("0 < X 1:1(0)"),
        "1:5: expected the flags of a segment, or the name of a protocol, found \"X 1:1(0)\""
    );
}

#[test]
fn datagrams_and_icmp() {
    assert_eq!(packet_of("0 < udp (1000)").body, Body::Udp(1000));
    let Body::Icmp(icmp) = packet_of("0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]").body else {
        panic!()
    };
    assert_eq!(
        (icmp.kind.as_str(), icmp.code.as_deref(), icmp.mtu),
        ("unreachable", Some("frag_needed"), Some(1200))
    );
    assert_eq!(icmp.quote, Quote::Tcp(1, 1460));
    let Body::Icmp(icmp) = packet_of("0 < icmp packet_too_big mtu 1280 [udp (100)]").body else { panic!() };
    assert_eq!((icmp.code, icmp.quote), (None, Quote::Udp(100)));
    assert_eq!(refused("0 < ipv4 1.2.3.4 > 5.6.7.8: udp (1)"), "1:5: ipv4 headers are not supported");
}

/// A script that was cut off, or has a stray character somewhere, is refused or read: never a panic.
#[test]
fn scripts_with_mistakes() {
    let whole = "--a=b\n0 socket(..., {x=1, y=[2, \"t\"]}, A|B) = -1 E (n)\n+0...1 read(3, ..., 1) = 1\n\
                 +.1~+.2 > [ect0] 1 > 2 S. 1:2(1) ack 3 win 4 urg 5 <mss 1,sack 1:2 3:4,TS val 1 ecr 2,FO 00>\n\
                 * > icmp unreachable port_unreachable mtu 5 [1:2(1)]\n0 `x` %{ y }%\n#ifdef A\n#else\n#endif\n";
    for at in 0..whole.len() {
        let _ = parse(&whole[..at], &[]);
        for stray in ['<', '[', '"', '0', '-', '\n', '\u{e9}'] {
            let mut text = whole.to_string();
            text.replace_range(at..=at, stray.encode_utf8(&mut [0; 4]));
            let _ = parse(&text, &[]);
        }
    }
}

/// What the caller defines holds in `#ifdef`, and stands for a word.
#[test]
fn definitions() {
    let defines = [("FreeBSD", ""), ("COOKIE", "01020304"), ("N", "7")].map(|(n, v)| (n.into(), v.into()));
    let text = "#ifdef FreeBSD\n0 < S 0:0(0) <FO COOKIE>\n#endif\n+0 close(N) = ${N}\n+0 close(NN) = 0";
    let script = parse(text, &defines).unwrap();
    let all: Vec<&str> = script.events.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(all, ["< S 0:0(0) <FO 01020304>", "close(7) = 7", "close(NN) = 0"]);
}

#[test]
fn any_number_and_from_now_on() {
    let event = &parse("+~+.2 > S. ...(0) ack 5", &[]).unwrap().events[0];
    assert_eq!(event.when, When::AfterBetween(0, 200_000));
    let What::Packet(super::super::script::Packet { body: Body::Tcp(segment), .. }) = &event.what else {
        panic!("{event:?}")
    };
    assert!(segment.any_seq && segment.len == 0);
}
