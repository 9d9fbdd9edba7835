// Ways in which a Rust program terminates: a panic, and a stack overflow.
//
// SPDX-License-Identifier: Apache-2.0
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let frame = [depth; 512];
    deeper(depth + 1) + frame[(depth % 512) as usize]
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("overflow") => println!("{}", deeper(0)),
        _ => panic!("out of cheese"),
    }
}
