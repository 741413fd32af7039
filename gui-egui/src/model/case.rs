//! Conflicts as people meet them: all open fields of one entity are one case, with a column for every machine.
//!
//! A case holds at least one conflict; the columns begin with this machine's own.

use studiovault_protocol::api::{ConflictView, SideView};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::ConflictKind;

/// What kind of question a case asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CaseKind {
    /// Which value a field has.
    Fields,
    /// Whether it is deleted.
    Life,
    /// Who keeps a name.
    Name,
}

/// One column of the table: the sides of one machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The machine.
    pub device: String,
    /// It is this one.
    pub is_own: bool,
    /// Which of its sides, if a field has several of it.
    pub nth: usize,
}

/// All open questions of one kind about one entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    rows: Vec<ConflictView>,
}

impl Case {
    /// Groups conflicts into cases, in the order of their first ones.
    pub fn group(rows: Vec<ConflictView>) -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        let mut known = std::collections::BTreeMap::new();
        for row in rows {
            let key = (row.entity, kind_of(row.kind));
            let joins = known.get(&key).copied();
            match joins.filter(|_| key.1 == CaseKind::Fields) {
                Some(at) => {
                    let case: &mut Self = &mut cases[at];
                    case.rows.push(row);
                }
                None => {
                    known.insert(key, cases.len());
                    cases.push(Self { rows: vec![row] });
                }
            }
        }
        for case in &mut cases {
            case.rows.sort_by(|one, other| one.field.cmp(&other.field));
        }
        cases
    }

    /// Its conflicts, at least one.
    pub fn rows(&self) -> &[ConflictView] {
        &self.rows
    }

    /// The first conflict: all share its entity, type and label.
    pub fn head(&self) -> &ConflictView {
        &self.rows[0]
    }

    /// What kind of question.
    pub fn kind(&self) -> CaseKind {
        kind_of(self.head().kind)
    }

    /// The same for the same question, however its sides change.
    pub fn key(&self) -> (EntityId, CaseKind) {
        (self.head().entity, self.kind())
    }

    /// The conflict with an id.
    pub fn row(&self, id: &str) -> Option<&ConflictView> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// One column a machine, this one's first.
    pub fn columns(&self, own: &str) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for row in &self.rows {
            for (at, side) in row.sides.iter().enumerate() {
                let nth = same_before(row, at);
                let known = |column: &Column| column.device == side.device && column.nth == nth;
                if !columns.iter().any(known) {
                    columns.push(Column {
                        device: side.device.clone(),
                        is_own: side.device == own,
                        nth,
                    });
                }
            }
        }
        columns.sort_by_key(|column| !column.is_own);
        columns
    }

    /// When anything of it last changed.
    pub fn newest(&self) -> Option<studiovault_protocol::time::WallMs> {
        let sides = self.rows.iter().flat_map(|row| &row.sides);
        sides.map(|side| side.ts).max()
    }

    /// The machines that have a side, each once.
    pub fn machines(&self) -> Vec<&str> {
        let mut machines: Vec<&str> = Vec::new();
        for side in self.rows.iter().flat_map(|row| &row.sides) {
            if !machines.contains(&side.device.as_str()) {
                machines.push(&side.device);
            }
        }
        machines
    }
}

/// The side of a column in a row.
pub fn side_in<'a>(row: &'a ConflictView, column: &Column) -> Option<&'a SideView> {
    let mut of_machine = row.sides.iter().filter(|side| side.device == column.device);
    of_machine.nth(column.nth)
}

/// How many sides before this one are of the same machine.
fn same_before(row: &ConflictView, at: usize) -> usize {
    let device = &row.sides[at].device;
    row.sides[..at]
        .iter()
        .filter(|side| side.device == *device)
        .count()
}

fn kind_of(kind: ConflictKind) -> CaseKind {
    match kind {
        ConflictKind::UpdateUpdate | ConflictKind::LostAtCloud => CaseKind::Fields,
        ConflictKind::DeleteUpdate => CaseKind::Life,
        ConflictKind::CreateCreate => CaseKind::Name,
    }
}
