//! `lockattr doctor`: what the lock service can and cannot promise.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use lockattr::{Diagnosis, Finding, Severity};
use serde::Serialize;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plain::plain;
use crate::span::parse_span;

/// The options of `doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// The shortest ttl of the calls, against which the round trip is judged [default: 30s; on ZooKeeper 10s]
    #[arg(long, env = "LOCKATTR_TTL", value_name = "TIME", value_parser = parse_span)]
    ttl: Option<Duration>,
}

#[derive(Serialize)]
struct DiagnosisView<'a> {
    place: &'a str,
    deployment: &'a str,
    worst: String,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    severity: String,
    topic: String,
    server: Option<&'a str>,
    seen: &'a str,
    remedy: Option<&'a str>,
}

impl Doctor {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open_to_examine(self.ttl).await?;
        let diagnosis = lockattr::doctor(&pool).await?;
        if output.is_json() {
            output.object(&DiagnosisView::from(&diagnosis))?;
        } else {
            output.line(text(&diagnosis))?;
        }
        Ok(if diagnosis.worst() >= Severity::Warning {
            Exit::NOTHING
        } else {
            Exit::SUCCESS
        })
    }
}

/// As the library writes it, in colours.
fn text(diagnosis: &Diagnosis) -> String {
    let lines = diagnosis.to_string();
    let lines = lines.lines().map(|line| {
        let severity = line.split_whitespace().next().unwrap_or_default();
        let findings = diagnosis.findings().iter();
        let mut same = findings.filter(|finding| finding.severity.to_string() == severity);
        match same.next() {
            // Lines of findings, and no others, are indented by two.
            Some(finding) if line.starts_with(&format!("  {severity}")) => {
                let style = style(finding.severity);
                let painted = format!("{style}{severity}{style:#}");
                plain(line).replacen(severity, &painted, 1)
            }
            _ => plain(line).into_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Good => AnsiColor::Green.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Broken => AnsiColor::Red.on_default().bold(),
        _ => Style::new(),
    }
}

impl<'a> From<&'a Diagnosis> for DiagnosisView<'a> {
    fn from(diagnosis: &'a Diagnosis) -> Self {
        Self {
            place: diagnosis.place(),
            deployment: diagnosis.deployment(),
            worst: name(diagnosis.worst()),
            findings: diagnosis.findings().iter().map(FindingView::from).collect(),
        }
    }
}

impl<'a> From<&'a Finding> for FindingView<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            severity: name(finding.severity),
            topic: finding.topic.to_string(),
            server: finding.server.as_deref(),
            seen: &finding.seen,
            remedy: finding.remedy.as_deref(),
        }
    }
}

/// For programs, without the capitals for people.
fn name(severity: Severity) -> String {
    severity.to_string().to_lowercase()
}
