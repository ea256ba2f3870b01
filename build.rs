//! Names `migrations/` to cargo: `sqlx::migrate!` embeds the folder but does not notice a new file in it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
