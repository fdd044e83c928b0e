//! The `leyden` program; all of it is [`leyden::cli`].

fn main() -> std::process::ExitCode {
    be_quiet_without_a_session();
    leyden::cli::main()
}

/// Vulkan drivers complain on standard error where this variable is missing, as it is over ssh or in a container,
/// although nothing here needs it.
fn be_quiet_without_a_session() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(NAME).is_none() {
        // SAFETY: the process has no other thread yet.
        unsafe { std::env::set_var(NAME, std::env::temp_dir()) };
    }
}
