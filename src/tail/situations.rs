//! One named situation per rule.
