//! Benchmarks of the relay.

fn main() {}
