//! The `leyden` program; all of it is [`leyden::cli`].

fn main() -> std::process::ExitCode {
    leyden::cli::main()
}
