//! The page. Everything that is filled in is escaped by `maud`.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Classes, Fault, Group, Interpreter, Process, Report};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #2a8a3e; --bad: #c4322e; --wait: #b27300 }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
p { margin: .3rem 0 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 600 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.w { overflow-wrap: anywhere }
th.n + th, td.n + td:not(.n) { padding-left: 1.2rem }
code { font: .9em ui-monospace, monospace }
.soft { opacity: .7 }
.good { color: var(--good) } .bad { color: var(--bad) } .wait { color: var(--wait) }
.good, .bad, .wait { font-weight: 600 }
";

/// A count with its thing.
fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// A duration as a person says it.
fn duration(seconds: f64) -> String {
    // Durations here are not negative, and years fit.
    let whole = seconds as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        7200..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} days {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

fn bytes(bytes: u64) -> String {
    let sizes = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut at) = (bytes as f64, 0);
    while size >= 1024.0 && at + 1 < sizes.len() {
        size /= 1024.0;
        at += 1;
    }
    let unit = sizes.get(at).copied().unwrap_or_default();
    if at == 0 { format!("{bytes} {unit}") } else { format!("{size:.1} {unit}") }
}

/// The page of a report.
pub fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "mod_wsgi status" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "mod_wsgi status" }
                p class="soft" {
                    "mod_wsgi " (report.mod_wsgi) " in " (report.server) " · "
                    a href="?refresh=5" { "refresh every 5 s" } " · " a href="?format=json" { "JSON" }
                }
                @for group in &report.groups { (section(report, group)) }
            }
        }
    }
}

/// What a glance should tell of a group.
fn verdict(group: &Group) -> Markup {
    let has = |state| group.processes.iter().any(|process| process.state == state);
    let busy =
        group.processes.iter().flat_map(|process| &process.threads).filter(|thread| thread.is_busy()).count() as u64;
    let Some(threads) = group.threads_per_process else {
        return html! { span class="good" { "embedded" } ", " (counted(busy, "busy thread", "busy threads")) };
    };
    let (class, word) = if has("ready") && group.active == 0 {
        ("good", "idle")
    } else if has("ready") {
        ("good", "serving")
    } else if has("starting") {
        ("wait", "starting")
    } else {
        ("bad", "not running")
    };
    let ready = group.processes.iter().filter(|process| process.state == "ready").count() as u64;
    let capacity = ready * u64::from(threads);
    html! {
        span class=(class) { (word) } ", " (counted(u64::from(group.active), "request", "requests")) " for "
        (counted(capacity, "thread", "threads"))
        @if capacity > 0 && u64::from(group.active) >= capacity { ": " span class="wait" { "every thread is busy" } }
    }
}

fn section(report: &Report, group: &Group) -> Markup {
    html! {
        section id=(format!("group-{}", group.name)) {
            h2 {
                @if group.mode == "embedded" { "Embedded mode" } @else { "Daemon process group " code { (group.name) } }
            }
            p { (verdict(group)) }
            p class="soft" {
                @if let (Some(processes), Some(threads)) = (group.processes_configured, group.threads_per_process) {
                    (counted(u64::from(processes), "process", "processes")) " with "
                    (counted(u64::from(threads), "thread", "threads")) " configured"
                }
                @if let Some(user) = &group.user { ", as " (user) }
                @if let Some(python) = &group.python { ", " code { (python) } }
            }
            p {
                (classes(&group.requests)) ", " (bytes(group.request_body_bytes)) " of request bodies, "
                (bytes(group.response_body_bytes)) " of response bodies"
            }
            @if !group.processes.is_empty() { (processes(report, &group.processes)) }
            @if !group.ends.is_empty() {
                p { "Processes that ended: "
                    @for (at, end) in group.ends.iter().enumerate() {
                        @if at > 0 { ", " } (end.count) " × " (end.reason)
                    }
                }
            }
            @if !group.interpreters.is_empty() { (interpreters(&group.interpreters)) }
            @if !group.errors.is_empty() { (faults(report, &group.errors)) }
        }
    }
}

fn classes(requests: &Classes) -> Markup {
    let parts = [
        (requests.successful, "2xx"),
        (requests.redirected, "3xx"),
        (requests.client_errors, "4xx"),
        (requests.server_errors, "5xx"),
    ];
    html! {
        (counted(requests.total(), "request", "requests")) " answered"
        @for (count, class) in parts { @if count > 0 { ", " (count) " with " (class) } }
    }
}

fn processes(report: &Report, processes: &[Process]) -> Markup {
    html! {
        table {
            thead { tr {
                th { "Process" } th { "State" } th class="n" { "Age" } th class="n" { "Memory" } th class="n" { "Requests" }
                th class="n" { "Threads" } th { "What they do" }
            } }
            tbody {
                @for process in processes {
                    @let busy: Vec<_> = process.threads.iter().filter(|thread| thread.is_busy()).collect();
                    tr {
                        td { (process.pid) }
                        td { (process.state) }
                        td class="n" { @if let Some(started) = process.started { (duration((report.time - started).max(0.0))) } }
                        td class="n" { @if let Some(memory) = process.memory_bytes { (bytes(memory)) } }
                        td class="n" { (process.requests) }
                        td class="n" { (busy.len()) " of " (process.threads.len()) " busy" }
                        td class="w" {
                            @for thread in &busy {
                                div {
                                    code { (thread.request.as_deref().unwrap_or_default()) } " "
                                    span class="soft" { (thread.state) " for " (duration(thread.seconds)) }
                                }
                            }
                            @if busy.is_empty() { span class="soft" { "idle" } }
                        }
                    }
                }
            }
        }
    }
}

fn interpreters(interpreters: &[Interpreter]) -> Markup {
    html! {
        h3 { "Interpreters" }
        table {
            thead { tr { th { "Application group" } th class="n" { "Requests" } th class="n" { "5xx" } th class="n" { "Mean time" } } }
            tbody {
                @for interpreter in interpreters {
                    @let total = interpreter.requests.total();
                    tr {
                        td class="w" { @if interpreter.name.is_empty() { "%{GLOBAL}" } @else { (interpreter.name) } }
                        td class="n" { (total) }
                        td class="n" { (interpreter.requests.server_errors) }
                        td class="n" {
                            @if total > 0 { (format!("{:.2} ms", interpreter.application_seconds * 1000.0 / total as f64)) }
                        }
                    }
                }
            }
        }
    }
}

fn faults(report: &Report, faults: &[Fault]) -> Markup {
    html! {
        h3 { "Last errors" }
        table {
            thead { tr { th { "When" } th { "What" } th { "Last line in the log" } } }
            tbody {
                @for fault in faults {
                    tr {
                        td { (fault.local_time) br; span class="soft" { (duration((report.time - fault.time).max(0.0))) " ago" } }
                        td class="w" {
                            @match (&fault.request, fault.status) {
                                (Some(request), Some(status)) => { code { (request) } " " span class="bad" { (status) } }
                                _ => { "process" @if let Some(pid) = fault.pid { " " (pid) } }
                            }
                        }
                        td class="w" { code { (fault.text) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_said_as_a_person_does() {
        assert_eq!(
            [0.25, 61.0, 125.0, 7300.0, 200_000.0].map(duration),
            ["0.25 s", "61 s", "2 min 5 s", "2 h 1 min", "2 days 7 h"]
        );
        assert_eq!([500, 1536, 5 << 30].map(bytes), ["500 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn what_applications_say_is_escaped() {
        let fault = Fault {
            time: 0.0,
            local_time: String::new(),
            pid: None,
            status: Some(500),
            request: Some("GET /<script>".into()),
            text: "ValueError: <b>&".into(),
        };
        let report = Report { mod_wsgi: "7", server: String::new(), time: 1.0, groups: Vec::new() };
        let page = faults(&report, &[fault]).into_string();
        assert!(page.contains("GET /&lt;script&gt;") && page.contains("&lt;b&gt;&amp;"), "{page}");
    }
}
