//! Evaluates the rules on a run's points, on the writer's thread, and publishes the alerts.
//!
//! Points of a series are evaluated in the order in which they were logged. A point whose step is not above all earlier steps
//! of its series in this session is skipped, because points that are logged again are not new.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::Alerts;
use super::rule::{Rule, State};
use crate::error::Error;
use crate::pattern;
use crate::series_table::SeriesTable;
use crate::store::events::{Event, EventsFile};
use crate::store::time::iso_8601;
use holter_journal::{Point, Step};

/// The wait after a failed write to the events file.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The rules of a run and their states.
#[derive(Debug)]
pub(crate) struct Watcher {
    rules: Vec<Rule>,
    /// By the index of the series.
    watched: Vec<Option<Watched>>,
    alerts: Arc<Alerts>,
    file: EventsFile,
    retry_at: Option<Instant>,
}

/// A series and the rules that apply to it.
#[derive(Debug)]
struct Watched {
    name: Arc<str>,
    last_step: Option<Step>,
    /// The index of each rule, and its state.
    states: Vec<(usize, State)>,
}

impl Watcher {
    pub(crate) fn new(rules: Vec<Rule>, path: PathBuf, alerts: Arc<Alerts>) -> Self {
        Self { rules, watched: Vec::new(), alerts, file: EventsFile::new(path), retry_at: None }
    }

    /// Evaluates new points.
    pub(crate) fn observe(&mut self, points: &[Point], series: &SeriesTable) {
        for point in points {
            let index = point.series.index();
            if index >= self.watched.len() {
                self.watched.resize_with(index + 1, || None);
            }
            let slot = &mut self.watched[index];
            if slot.is_none() {
                *slot = series.name(point.series).map(|name| Watched::new(name, &self.rules));
            }
            let Some(watched) = slot else { continue };
            if watched.states.is_empty() || watched.last_step.is_some_and(|last| point.step <= last) {
                continue;
            }
            watched.last_step = Some(point.step);
            for (rule, state) in &mut watched.states {
                let rule = &self.rules[*rule];
                if state.begins(&rule.condition, point.step, point.value) {
                    let line = line(rule, &watched.name, point);
                    self.file.push(line.clone());
                    self.alerts.add(line, rule.stop);
                }
            }
        }
    }

    /// Writes pending alerts to the events file, unless a write has just failed.
    ///
    /// # Errors
    ///
    /// The error of the file; the write is retried later.
    pub(crate) fn write(&mut self, is_last: bool) -> Result<(), Error> {
        if !self.file.is_waiting() || (!is_last && self.retry_at.is_some_and(|at| Instant::now() < at)) {
            return Ok(());
        }
        let written = self.file.write_waiting();
        self.retry_at = written.is_err().then(|| Instant::now() + RETRY_INTERVAL);
        written
    }
}

impl Watched {
    fn new(name: Arc<str>, rules: &[Rule]) -> Self {
        let matching = rules.iter().enumerate().filter(|(_, rule)| pattern::matches(&rule.pattern, &name));
        Self { states: matching.map(|(index, _)| (index, State::default())).collect(), name, last_step: None }
    }
}

fn line(rule: &Rule, name: &str, point: &Point) -> String {
    Event {
        time: iso_8601(point.time),
        level: rule.level,
        series: Some(name.to_owned()),
        step: Some(point.step),
        value: Event::json_value(point.value),
        rule: rule.condition.as_str().to_owned(),
        stop: rule.stop,
        message: rule.condition.message(point.value),
    }
    .to_line()
}
