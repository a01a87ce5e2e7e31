//! How records are printed: `--json`, `--columns`, `--no-header`, `--color`.

use clap::{Args, ValueEnum};

/// How records are printed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Showing {
    /// One JSON object a line
    #[arg(short = 'J', long)]
    pub json: bool,
    /// These columns only, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// No line of column titles
    #[arg(long)]
    pub no_header: bool,
    /// Colour: auto, always or never
    ///
    /// auto, the default, is on a terminal, and not where NO_COLOR is set and not empty.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
}

/// How records are printed that come one after the other: a line each, without titles.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Streaming {
    /// One JSON object a line
    #[arg(short = 'J', long)]
    pub json: bool,
    /// These columns only, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set and not empty.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
