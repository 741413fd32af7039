//! A change of the roster that a person asks for at this machine: worded at its place among what happens, after everything
//! that came before it, so that a cut counts the write before and of two changes the second knows the first.

use studiovault_protocol::engine::{ChangeRefused, RosterChange};
use studiovault_protocol::event::Input;

use super::Step;
use crate::store::StoreError;

impl Step<'_> {
    /// Words, signs and takes up a change; the answer goes out once all of this is durable.
    pub(super) fn change(&mut self, ticket: u64, change: &RosterChange) -> Result<(), StoreError> {
        let answer = match self.engine.word(change, self.moment.now.wall) {
            Ok(record) => {
                let hash = record.hash();
                self.input(Input::Record(Box::new(record)))?;
                let taken = self.engine.roster().record(hash).is_some();
                let is_full = self.engine.roster().is_full();
                let refused = match is_full {
                    true => ChangeRefused::Full,
                    false => ChangeRefused::NotTaken,
                };
                taken.then_some(()).ok_or(refused)
            }
            Err(refused) => Err(refused),
        };
        self.output.changes.push((ticket, answer));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use studiovault_protocol::author::Mutation;
    use studiovault_protocol::command::Op;
    use studiovault_protocol::engine::{Identity, Place};
    use studiovault_protocol::event::Moment;
    use studiovault_protocol::id::{DeviceId, Epoch, StudioId};
    use studiovault_protocol::keys::SecretKey;
    use studiovault_protocol::limits;
    use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};
    use studiovault_protocol::policy::Policy;
    use studiovault_protocol::time::{MonoMs, Now, WallMs};

    use super::*;
    use crate::config::Region;
    use crate::driver::{Driver, Event, Output, Random, Setup, WriteRequest};
    use crate::store::{Location, Store};

    const STUDIO: StudioId = StudioId([3; 16]);
    const MEMBER: Place = Place {
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
    };

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed([n; 32])
    }

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 16])
    }

    fn admin(n: u8, version: u32) -> SignedRecord {
        let grant = Grant {
            device: device(n),
            key: key(n).public(),
            name: format!("machine {n}"),
            role: Role::Admin,
            priority: 0,
            gateway_preference: 0,
            version,
        };
        SignedRecord::by_root(STUDIO, grant, &key(9))
    }

    fn two_admins() -> Roster {
        let mut roster = Roster::new(STUDIO, key(9).public()).expect("a usable key");
        for n in [1, 2] {
            roster.insert(admin(n, 1)).expect("the root's own record");
        }
        roster
    }

    /// The first of two admins.
    fn one_of_two() -> Driver {
        knowing(two_admins())
    }

    fn knowing(roster: Roster) -> Driver {
        let policy = Policy::default();
        let store = Store::open(Location::Memory, &policy).expect("memory opens");
        let identity = Identity {
            device: device(1),
            secret: key(1),
            run: 1,
            fresh_epoch: Epoch(5),
        };
        let setup = Setup {
            identity,
            roster,
            policy,
            random: Random::seeded(4),
            region: Region::default(),
        };
        Driver::new(setup, store, moment()).expect("a fresh driver")
    }

    fn moment() -> Moment {
        let now = Now {
            wall: WallMs(1_700_000_000_000),
            mono: MonoMs(1),
        };
        Moment { now, entropy: 7 }
    }

    fn step(driver: &mut Driver, events: Vec<Event>) -> Output {
        driver.step(moment(), events)
    }

    #[test]
    fn of_two_changes_in_one_moment_the_second_knows_the_first() {
        let mut driver = one_of_two();
        let lower = |n| Box::new(RosterChange::Place(device(n), MEMBER));
        let events = vec![Event::Change(1, lower(2)), Event::Change(2, lower(1))];
        let output = step(&mut driver, events);
        let answers = [(1, Ok(())), (2, Err(ChangeRefused::LastAdmin))];
        assert_eq!(output.changes, answers);
        let members = driver.engine().roster().members();
        let admins = members.filter(|member| member.grant.role == Role::Admin);
        assert_eq!(admins.count(), 1);
    }

    #[test]
    fn a_full_roster_says_so_and_still_shuts_machines_out() {
        let mut roster = two_admins();
        roster.extend((2..=limits::ROSTER_RECORDS as u32).map(|version| admin(2, version)));
        assert!(roster.is_full());
        let mut driver = knowing(roster);
        let admit = RosterChange::Admit {
            device: device(3),
            key: key(3).public(),
            name: "newcomer".into(),
            place: MEMBER,
        };
        let revoke = RosterChange::Revoke(device(2));
        let events = vec![
            Event::Change(1, Box::new(admit)),
            Event::Change(2, Box::new(revoke)),
        ];
        let output = step(&mut driver, events);
        let answers = [(1, Err(ChangeRefused::Full)), (2, Ok(()))];
        assert_eq!(output.changes, answers);
        let words = ChangeRefused::Full.to_string();
        assert!(
            words.contains("4096") && words.contains("studiovault init"),
            "{words}"
        );
    }

    #[test]
    fn whoever_retires_keeps_the_write_of_the_same_moment() {
        let mut driver = one_of_two();
        let fields = json!({ "name": "Silva" });
        let create = Mutation {
            entity_type: "client".into(),
            entity: None,
            op: Op::Create,
            fields: fields.as_object().expect("an object").clone(),
            read: None,
            replaces: None,
        };
        let write = WriteRequest {
            actor: "Ines".into(),
            mutations: vec![create],
            together: false,
            skip_existing: false,
        };
        let retire = Event::Change(2, Box::new(RosterChange::Retire));
        let output = step(&mut driver, vec![Event::Write(1, write), retire]);
        assert_eq!(output.changes, [(2, Ok(()))]);
        assert!(output.answers[0].1.is_ok(), "{:?}", output.answers);
        let roster = driver.engine().roster();
        let chains = driver.engine().log().chains();
        let tips: Vec<_> = chains
            .map(|(author, chain)| author.at(chain.held.0))
            .collect();
        assert!(!tips.is_empty() && tips.iter().all(|tip| roster.cuts().stands(*tip)));
    }
}
