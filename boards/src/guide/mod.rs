//! The guide: a page for each thing that a program does. Each block of code is compiled by the tests.
//!
//! | page | |
//! |---|---|
//! | [`first_program`] | an echo server in five minutes |
//! | [`reading_and_writing`] | streams, halves, the end, without copies |
//! | [`errors`] | what each means, and which comes first |
//! | [`waiting`] | spinning, fibers, threads, async, callbacks |
//! | [`several_sockets`] | tasks, channels, one task over many sockets |
//! | [`time`] | sleeping, limits, deadlines |
//! | [`memory`] | limits, and machines without a heap |
//! | [`configuration`] | addresses by DHCP, by routers, by hand |
//! | [`names`] | connecting by name, looking up, names of the link |
//! | [`servers`] | limits, stopping, last words |
//! | [`multicast`] | groups |
//! | [`a_board`] | a machine of one's own |
//! | [`a_driver`] | a network device of one's own |
//! | [`linux_process`] | the same program under Linux |
//! | [`debugging`] | captures, counters, events |
//! | [`documents`] | the steps of Mnet, Eio, Luv and libuv, and ours |
//!
//! Which item serves which row of the contract stands on the front page of [`barenet`].

macro_rules! pages {
    ($($name:ident: $file:literal)*) => {$(
        #[doc = include_str!($file)]
        pub mod $name {}
    )*};
}

pages! {
    first_program: "first_program.md"
    reading_and_writing: "reading_and_writing.md"
    errors: "errors.md"
    waiting: "waiting.md"
    several_sockets: "several_sockets.md"
    time: "time.md"
    memory: "memory.md"
    configuration: "configuration.md"
    names: "names.md"
    servers: "servers.md"
    multicast: "multicast.md"
    a_board: "a_board.md"
    a_driver: "a_driver.md"
    linux_process: "linux_process.md"
    debugging: "debugging.md"
    documents: "documents.md"
}
