//! Two to sixteen flows from two hosts through one queue: which part of the link each host gets.

use super::Plan;
use super::lanes::{self, Progress};
use super::run::{Cell, Run, Who};
use crate::table::{Samples, Table, verdict};

/// The first host and the second, which have half of the flows each.
const PAIRS: [(Who, Who, &str); 4] = [
    (Who::Linux, Who::Linux, "L beside L"),
    (Who::Barenet, Who::Linux, "B beside L"),
    (Who::Barenet, Who::Barenet, "B beside B"),
    (Who::BarenetBbr, Who::Linux, "B with BBR beside L"),
];

pub(super) fn tables(plan: &Plan) -> Result<Vec<Table>, String> {
    let mut table = Table::new(
        "S17: flows that share 20 Mbit/s, RTT 50 ms, a queue of one BDP; Linux receives",
        [
            "flows",
            "share of the first host",
            "goal",
            "Jain's fairness of all",
            "utilisation",
            "dropped",
            "queue, 95 %, ms",
        ],
    );
    let cell = Cell::new(20, 50, 1.0, plan.shares);
    let flows = [2, 4, 8, 16];
    let mut progress = Progress::new(flows.len() * PAIRS.len() * plan.rounds as usize);
    for flows in flows {
        let mut rounds = Vec::new();
        for seed in 0..plan.rounds {
            let run = |&(first, second, _): &(Who, Who, &str)| {
                let left = vec![(first, flows / 2), (second, flows / 2)];
                Run { cell, left, right: Who::Linux, seed: seed + 1 }
            };
            rounds.push(lanes::measure(&PAIRS.map(|pair| run(&pair)), &mut progress)?);
        }
        for (pair, (first, _, name)) in PAIRS.iter().enumerate() {
            let of = |name: &str| rounds.iter().map(|round| round[pair].get(name)).collect::<Samples>();
            let mean = rounds.iter().map(|round| round[pair].get("share")).sum::<f64>() / rounds.len() as f64;
            let goal = match first {
                Who::Barenet => format!("{} 0.4 to 0.6", verdict((0.4..=0.6).contains(&mean))),
                _ => "-".to_owned(),
            };
            table.row([
                format!("{flows}, {name}"),
                of("share").to_string(),
                goal,
                of("fairness").to_string(),
                of("utilisation").to_string(),
                of("dropped").to_string(),
                of("queue_p95").to_string(),
            ]);
        }
    }
    Ok(vec![table])
}
