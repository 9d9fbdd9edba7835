// SPDX-License-Identifier: Apache-2.0
// A panic that aborts: an index that is out of bounds.

struct Table<T> {
    values: Vec<T>,
}

impl Table<i32> {
    #[inline(never)]
    fn get(&self, i: usize) -> i32 {
        self.values[i] + 1
    }
}

#[inline(never)]
fn outer(table: &Table<i32>) -> i32 {
    std::hint::black_box(table.get(table.values.len() + 3)) + 1
}

fn main() {
    let table = Table { values: vec![1, 2, 3] };
    std::process::exit(outer(&table));
}
