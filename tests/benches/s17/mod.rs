//! S17: beside Linux. The same path between Linux and Linux, us and Linux, Linux and us: goodput, retransmissions,
//! drops and queue delay, as ratios of the same round and seed.

mod cells;
mod ends;
mod lanes;
mod linux;
mod ours;
mod plot;
mod run;
mod shares;

pub(crate) use ends::sample;

use crate::table::Table;

/// How often and how long.
pub(crate) struct Plan {
    rounds: u64,
    /// Of a bulk transfer in seconds; a long path takes three times as long.
    bulk: u64,
    /// Of flows that share a link.
    shares: u64,
}

impl Plan {
    pub(crate) const fn new(quick: bool) -> Self {
        match quick {
            true => Plan { rounds: 1, bulk: 4, shares: 8 },
            false => Plan { rounds: 3, bulk: 10, shares: 20 },
        }
    }
}

/// All tables. Pictures are written to `target/s17`.
pub(crate) fn tables(quick: bool) -> Result<Vec<Table>, String> {
    let plan = Plan::new(quick);
    let mut tables = cells::tables(&plan)?;
    tables.extend(shares::tables(&plan)?);
    Ok(tables)
}
