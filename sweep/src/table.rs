//! What is printed: a line for each machine.

use tidegate_domain::time::Timestamp;
use tidegate_provider_api::{Billing, Machine, MachineState};

const TITLES: [&str; 8] = [
    "machine", "region", "instance", "try", "state", "age", "$/hour", "owner",
];

/// A line: a machine and what is said of it.
pub struct Line<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Who owns it, or what became of it.
    pub verdict: String,
}

/// Lines under titles, in columns.
pub fn render(now: Timestamp, lines: &[Line<'_>]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(lines.iter().map(|line| cells(now, line)));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..TITLES.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(now: Timestamp, Line { machine, verdict }: &Line<'_>) -> [String; 8] {
    let marker = machine.marker.as_ref();
    let since = machine.billed_from_ms.map(Timestamp::from_ms);
    [
        machine.id.clone(),
        machine.region.clone(),
        marker
            .map(|marker| marker.instance.clone())
            .unwrap_or_default(),
        marker
            .map(|marker| marker.attempt.to_string())
            .unwrap_or_default(),
        state(machine),
        since.map_or_else(|| "?".to_owned(), |since| age(now, since)),
        machine
            .microusd_per_hour
            .map_or_else(|| "?".to_owned(), dollars),
        verdict.clone(),
    ]
}

/// In our words and, where they say something else, the vendor's; and what is paid.
fn state(machine: &Machine) -> String {
    let state = match machine.state {
        MachineState::Pending => "pending",
        MachineState::Running => "running",
        MachineState::Stopping => "stopping",
        MachineState::Stopped => "stopped",
        MachineState::Terminating => "terminating",
        MachineState::Terminated => "terminated",
        MachineState::Failed => "failed",
        MachineState::Unknown => "unknown",
    };
    let billing = match machine.billing {
        Billing::Full => "",
        Billing::Disk => ", disk billed",
        Billing::None => ", not billed",
        Billing::Unknown => ", perhaps billed",
    };
    if machine.raw_state.eq_ignore_ascii_case(state) {
        format!("{state}{billing}")
    } else {
        format!("{state} ({}){billing}", machine.raw_state)
    }
}

/// `3d 4h`, `13h 5m`, `12m`.
pub fn age(now: Timestamp, since: Timestamp) -> String {
    let minutes = now.since(since).as_ms() / 60_000;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {minutes}m"),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

fn dollars(microusd: u64) -> String {
    let text = format!("{}.{:06}", microusd / 1_000_000, microusd % 1_000_000);
    let short = text.trim_end_matches('0');
    short.strip_suffix('.').unwrap_or(short).to_owned()
}

#[cfg(test)]
mod tests {
    use tidegate_provider_api::Marker;

    use super::*;

    #[test]
    fn a_machine_is_a_line_of_its_table() {
        let machine = Machine {
            id: "pod1".to_owned(),
            marker: Marker::parse("tidegate-0123456789-srv_a-3"),
            state: MachineState::Stopped,
            raw_state: "EXITED".to_owned(),
            reason: None,
            region: "EU-RO-1".to_owned(),
            zone: None,
            machine_type: None,
            gpu_count: None,
            microusd_per_hour: Some(430_000),
            billing: Billing::Disk,
            billed_from_ms: Some(0),
            billed_until_ms: None,
            endpoint: None,
            address: None,
        };
        let lines = [Line {
            machine: &machine,
            verdict: "nobody's".to_owned(),
        }];
        assert_eq!(
            render(Timestamp::from_ms(100 * 60_000), &lines),
            "machine  region   instance  try  state                          age     $/hour  owner\n\
             pod1     EU-RO-1  srv_a     3    stopped (EXITED), disk billed  1h 40m  0.43    nobody's\n"
        );
    }

    #[test]
    fn ages_and_sums_are_short() {
        let age = |minutes: i64| age(Timestamp::from_ms(minutes * 60_000), Timestamp::from_ms(0));
        assert_eq!(
            [age(0), age(59), age(785), age(4600)],
            ["0m", "59m", "13h 5m", "3d 4h"]
        );
        assert_eq!(
            [dollars(0), dollars(1_000_000), dollars(1_500)],
            ["0", "1", "0.0015"]
        );
    }
}
