//! `--json`, `--columns`, `--no-header` and `--color`: how records are printed.

use clap::{Args, ValueEnum};

/// How records are printed.
#[derive(Debug, Clone, Args)]
pub struct Showing {
    /// Print JSON Lines: one object per record
    #[arg(short = 'J', long, help_heading = "Output")]
    pub json: bool,
    /// Show only these columns, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',', help_heading = "Output")]
    pub columns: Option<Vec<String>>,
    /// Omit the header line
    #[arg(long, help_heading = "Output")]
    pub no_header: bool,
    /// Use colour: auto, always or never (default: auto)
    ///
    /// With auto, output is coloured on a terminal, but not if NO_COLOR is set and not empty.
    #[arg(long, value_name = "WHEN", hide_possible_values = true, help_heading = "Output")]
    pub color: Option<Color>,
}

impl Showing {
    /// Whether it is a table with the usual columns.
    pub const fn is_table(&self) -> bool {
        !self.json && self.columns.is_none()
    }
}

/// How records are printed as they arrive: one line each, without titles.
#[derive(Debug, Clone, Args)]
pub struct Streaming {
    /// Print JSON Lines: one object per record
    #[arg(short = 'J', long, help_heading = "Output")]
    pub json: bool,
    /// Show only these columns, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',', help_heading = "Output")]
    pub columns: Option<Vec<String>>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set and not empty.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
