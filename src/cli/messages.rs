//! Errors, warnings and notes, on stderr. Text from files and servers is escaped.
//!
//! For people they are lines; with `--progress json` each is an object of JSON on a line of its own, with what it is in `event`.

use std::{
    error::Error as _,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use super::escape;
use reslice::error::Error;

/// Whether stderr is for a program.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);
/// Warnings of the whole run that were given, in their order.
static GIVEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From here on everything is JSON.
pub(super) fn for_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

fn is_for_programs() -> bool {
    FOR_PROGRAMS.load(Ordering::Relaxed)
}

/// `error:` with the numbers, `caused by:` lines, `hint:` the way out.
pub(super) fn error(error: &Error) {
    error_of("", error);
}

/// The same, with what it is about in front: `3 of 40, out.nii: `.
pub(super) fn error_of(about: &str, error: &Error) {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(source) = cause {
        causes.push(source.to_string());
        cause = source.source();
    }
    if is_for_programs() {
        let text = format!("{about}{error}");
        return event("error", &json!({"text": text, "caused_by": causes, "hint": error.hint()}));
    }
    say(format_args!("error: {about}{error}"));
    causes.iter().for_each(|cause| say(format_args!("caused by: {cause}")));
    if let Some(hint) = error.hint() {
        say(format_args!("hint: {hint}"));
    }
}

/// Prints a warning, and keeps it for the summary.
pub(super) fn warning(text: &str) {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_string());
    warning_of("", text);
}

/// Prints a warning with what it is about in front.
pub(super) fn warning_of(about: &str, text: &str) {
    if is_for_programs() {
        return event("warning", &json!({"text": format!("{about}{text}")}));
    }
    say(format_args!("warning: {about}{text}"));
}

/// `warnings`, and those that were given beside them.
pub(super) fn with_given(warnings: &[String]) -> Vec<String> {
    let mut all = warnings.to_vec();
    let given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    all.extend(given.iter().filter(|text| !warnings.contains(text)).cloned());
    all
}

/// Prints a remark that is no warning, with what it is about in front.
pub(super) fn remark_of(about: &str, text: &str) {
    if is_for_programs() {
        return event("note", &json!({"text": format!("{about}{text}")}));
    }
    write(&escape::text(&format!("note: {about}{text}")));
}

/// One line or several.
pub(super) fn note(text: &str) {
    if is_for_programs() {
        return event("note", &json!({"text": text}));
    }
    write(&escape::text(text));
}

/// What happened, and its members: for programs only.
pub(super) fn event(name: &str, members: &Value) {
    if !is_for_programs() {
        return;
    }
    let mut object = serde_json::Map::new();
    object.insert("event".into(), json!(name));
    object.extend(members.as_object().cloned().unwrap_or_default());
    write(&escape::json(&Value::Object(object).to_string()));
}

/// One line: what has several, as a name may, becomes one.
fn say(line: std::fmt::Arguments<'_>) {
    write(&escape::line(&line.to_string()));
}

/// There is nobody to tell when stderr is closed.
fn write(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
