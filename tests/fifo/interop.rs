//! Other programs on the other side: in C, and those of a shell.

use nix::libc;

use super::world;
use crate::sem::interop::compiled;

#[test]
fn c_reader_gets_all_data() {
    let world = world();
    let Some(program) = compiled(&world, "fifo.c") else { return };
    for (words, expected) in [("write f a b", "a\nb\n"), ("write f --lines a b", "a\nb\n")] {
        let reader = world.program(&program).args(["read", "f"]).start().blocked_in(libc::SYS_openat);
        world.call(&format!("fifo {words}")).ok();
        assert_eq!(reader.end().stdout, expected.as_bytes());
    }
    let reader = world.shell("exec ./fifo read f | cksum").start();
    let sum = world.shell("seq 200000 > in; fifo write f < in; cksum < in").ok();
    assert_eq!(String::from_utf8(reader.end().stdout).unwrap(), sum);
}

#[test]
fn blocks_of_a_c_writer_are_read() {
    let world = world();
    let Some(program) = compiled(&world, "fifo.c") else { return };
    let write = |count: &str| world.program(&program).args(["write", "f", count]).start();
    let writer = write("1000");
    let got = world.call("fifo read f").ok();
    assert_eq!(writer.code(), 0);
    assert_eq!(got.len(), 1_024_000);
    assert!(got.as_bytes().chunks(1024).zip(0_u32..).all(|(block, n)| { block == format!("{n:01023}\n").as_bytes() }));
    // The same with --count.
    let writer = write("10");
    let got = world.shell("exec 8<>f; for n in 1 2 3 4 5; do fifo read f -c 2; done | wc -lc").ok();
    assert_eq!(got.split_whitespace().collect::<Vec<_>>(), ["10", "10240"]);
    assert_eq!(writer.code(), 0);
}

#[test]
fn shell_programs_are_the_other_side() {
    let world = world();
    world.shell("echo x > f & fifo read f; wait").stdout("x\n").ok();
    world.shell("printf x > f & fifo read f -c 1; wait").stdout("x").ok();
    world.shell("seq 3 | dd of=f status=none & fifo read f --tag; wait").stdout("f: 1\nf: 2\nf: 3\n").ok();
    world.shell("seq 3 | tee f > /dev/null & fifo read f; wait").stdout("1\n2\n3\n").ok();
    world.shell("cat f & fifo write f x; wait").stdout("x\n").ok();
    world.shell("dd if=f status=none & fifo write f x; wait").stdout("x\n").ok();
    world.shell("head -n1 f & fifo write f x y; wait").stdout("x\n").ok();
    let script = "(read -r a; read -r b; echo $b $a) < f & fifo write f x y --lines; wait";
    world.shell(script).stdout("y x\n").ok();
    // With --follow the reader of a log outlives its writers.
    let script = "fifo read log --create --rm --follow > out & read=$!
        until [ -p log ]; do :; done
        echo one > log; (echo two; echo three) > log
        until [ $(wc -l < out) = 3 ]; do :; done
        kill $read; { wait $read || echo $?; } 2>/dev/null; cat out; ls log 2>/dev/null || echo gone";
    world.shell(script).stdout("143\none\ntwo\nthree\ngone\n").ok();
}
