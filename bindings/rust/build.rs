// SPDX-License-Identifier: MIT
//! Finds the installed libpeal by pkg-config.
use std::env;
use std::process::{exit, Command};

fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .map_err(|error| format!("'{program}' does not run ({error})"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_string())
    }
}

fn main() {
    for name in [
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    // Both ends of the range: before 1.0 each minor release may change the ABI.
    let flags = pkg_config(&["--libs", "peal >= 0.1 peal < 0.2"]).unwrap_or_else(|why| {
        eprintln!("libpeal 0.1 was not found: {why}");
        eprintln!("Install it, and let PKG_CONFIG_PATH name the directory of its peal.pc.");
        exit(1)
    });
    for flag in flags.split_whitespace() {
        match flag.split_at(2.min(flag.len())) {
            ("-L", directory) => println!("cargo:rustc-link-search=native={directory}"),
            ("-l", library) => println!("cargo:rustc-link-lib=dylib={library}"),
            _ => {}
        }
    }
}
