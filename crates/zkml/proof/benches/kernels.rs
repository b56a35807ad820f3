//! `cargo bench -p hallmark-proof --features bench`: the prover's kernels, as elements a second
//! (10 ns an element are 100 Mitem/s). `RAYON_NUM_THREADS=1` shows one core.

use divan::Bencher;
use divan::counter::ItemsCount;
use hallmark_proof::bench;

fn main() {
    divan::main();
}

const VARIABLES: [usize; 4] = [10, 14, 17, 20];

fn time(bencher: Bencher, items: usize, run: impl FnMut()) {
    bencher.counter(ItemsCount::new(items)).bench_local(run);
}

#[divan::bench(args = VARIABLES)]
fn logup(bencher: Bencher, depth: usize) {
    time(bencher, 1 << depth, bench::logup(depth, 16));
}

/// A little more than half of the leaves are present: costs follow those.
#[divan::bench(args = VARIABLES)]
fn logup_nine_sixteenths(bencher: Bencher, depth: usize) {
    time(bencher, (1 << depth) / 16 * 9, bench::logup(depth, 9));
}

#[divan::bench(args = VARIABLES)]
fn eq_table(bencher: Bencher, variables: usize) {
    time(bencher, 1 << variables, bench::eq(variables));
}

#[divan::bench(args = VARIABLES)]
fn product_base(bencher: Bencher, variables: usize) {
    time(bencher, 1 << variables, bench::product_base(variables));
}

#[divan::bench(args = VARIABLES)]
fn product(bencher: Bencher, variables: usize) {
    time(bencher, 1 << variables, bench::product(variables));
}

#[divan::bench(args = VARIABLES)]
fn eq_product_base(bencher: Bencher, variables: usize) {
    time(bencher, 1 << variables, bench::eq_product_base(variables));
}

#[divan::bench(args = VARIABLES)]
fn eq_product(bencher: Bencher, variables: usize) {
    time(bencher, 1 << variables, bench::eq_product(variables));
}
