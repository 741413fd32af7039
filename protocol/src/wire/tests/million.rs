//! A million bent or random things from strangers: refused or taken whole, and never a panic.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::author::{Draw, Mutation, command};
use crate::log::{Admission, LogIndex};
use crate::merge::{Context, Entity, Priorities, Record, Verdict, fold};
use crate::policy::Policy;
use crate::vector::Epochs;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }
    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
    /// Numbers that break things, more often than not.
    fn extreme(&mut self) -> i64 {
        let extremes = [i64::MIN, i64::MAX, -1, 0, 1, i64::MAX - 1];
        match self.below(3) {
            0 => self.number().cast_signed(),
            _ => *self.pick(&extremes),
        }
    }
    fn bend(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.number() as u8),
                2 => drop(bytes.remove(at)),
                3 => drop(bytes.splice(at..=at, [255, 255, 255, 255, 255, 255, 255, 255, 255, 1])),
                4 => bytes[at] ^= 1 << self.below(8),
                _ => bytes[at] = self.number() as u8,
            }
        }
    }
    fn text(&mut self) -> String {
        let texts = [
            "",
            "title",
            "Weddings",
            "\u{0}",
            "\u{202e}x",
            "\u{1f4a9}",
            "a\"b",
            "0",
            "2026-02-30",
        ];
        match self.below(8) {
            0 => "x".repeat(self.below(70_000)),
            _ => (*self.pick(&texts)).to_owned(),
        }
    }
    fn value(&mut self) -> Value {
        match self.below(5) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Int(self.extreme()),
            3 => Value::Text(self.text()),
            _ => Value::Ref(EntityId([self.number() as u8; 16])),
        }
    }
    fn dot(&mut self) -> Dot {
        let counter = match self.below(4) {
            0 => self.number(),
            1 => 0,
            _ => self.below(40) as u64,
        };
        author(self.below(5) as u8).at(counter)
    }
    fn vector(&mut self) -> Vector {
        let mut tips: Vec<Dot> = (0..self.below(4)).map(|_| self.dot()).collect();
        tips.sort_unstable();
        tips.dedup_by_key(|tip| tip.author);
        Vector::from_tips(tips).unwrap_or(Vector::EMPTY)
    }
    fn change(&mut self) -> Change {
        match self.below(4) {
            0 => Change::Write(self.value()),
            1 => Change::Add((0..self.below(3)).map(|_| self.value()).collect()),
            2 => {
                let mut remove = || (self.value(), vec![self.dot(), self.dot()]);
                Change::Remove(vec![remove(), remove()])
            }
            _ => Change::Increment(self.extreme()),
        }
    }
    fn command(&mut self) -> Command {
        let ops = [
            Op::Create,
            Op::Update,
            Op::Update,
            Op::Delete,
            Op::Restore,
            Op::Resolve,
        ];
        let fields = [
            "title",
            "status",
            "tags",
            "print_credits",
            "client",
            "no_such_field",
        ];
        let types = [
            "project",
            "project",
            "project",
            "client",
            "pos_order",
            "spaceship",
        ];
        let count = self.below(5);
        let mut writes = Vec::new();
        for _ in 0..count {
            let field = (*self.pick(&fields)).into();
            writes.push(FieldWrite {
                field,
                change: self.change(),
            });
        }
        Command {
            id: CommandId([self.number() as u8; 16]),
            entity_type: (*self.pick(&types)).into(),
            entity: EntityId([2; 16]),
            op: *self.pick(&ops),
            writes,
            ctx: (self.below(2) == 0).then(|| self.vector()),
            ts: WallMs(self.extreme()),
            replaces: None,
            nonce: Nonce([0; 16]),
        }
    }
    fn verdict(&mut self) -> Option<Verdict> {
        let codes = [
            Code::ConflictUpdateUpdate,
            Code::ConflictDeleteUpdate,
            Code::DuplicateKey,
            Code::Internal,
        ];
        let code = *self.pick(&codes);
        let outcome = match self.below(5) {
            0 => Outcome::Accepted,
            1 => Outcome::Merged(vec![("title".into(), code), ("no_such_field".into(), code)]),
            2 => Outcome::Rejected {
                code,
                detail: self.text(),
            },
            _ => return None,
        };
        let position = self.number() >> self.below(64);
        Some(Verdict { position, outcome })
    }
    fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Json::Null,
            1 => json!(self.extreme()),
            2 => json!(1e300),
            3 => json!(self.text()),
            4 => json!(false),
            5 => json!([]),
            6 => json!([self.json(depth - 1), self.json(depth - 1)]),
            7 => json!({"add": self.json(depth - 1), "remove": self.json(depth - 1)}),
            _ => json!({"increment": self.json(depth - 1)}),
        }
    }
}

#[test]
fn half_a_million_bent_frames_are_refused_or_read_back_as_themselves() {
    let mut dice = Dice(1);
    let whole: Vec<Vec<u8>> = frames().iter().map(Frame::encode).collect();
    let mut taken = 0;
    for _ in 0..500_000 {
        let mut bytes = dice.pick(&whole).clone();
        dice.bend(&mut bytes);
        if let Ok(frame) = Frame::decode(&bytes) {
            taken += 1;
            assert_eq!(frame.encode(), bytes);
        }
    }
    assert!(taken > 1000, "some are other frames: {taken}");
}

#[test]
fn a_quarter_of_a_million_bent_bundles_and_pages_leave_a_log_whole_or_untouched() {
    let mut dice = Dice(2);
    let (bundle, page) = (a_bundle(), a_page());
    let key = crate::keys::VerifyKey::new(&key().public()).expect("a key");
    let mut log = LogIndex::default();
    for _ in 0..200_000 {
        let mut bytes = bundle.bytes().to_vec();
        dice.bend(&mut bytes);
        let before = bytes == bundle.bytes()[..];
        let Ok(bent) = Bundle::decode(bytes) else {
            continue;
        };
        assert!(
            before || bent.verify(&key).is_err(),
            "a bent bundle bears no signature"
        );
        // Even if its author had signed it.
        let (held, digest) = (log.held(bent.author()), log.digest());
        match log.judge(&bent) {
            Admission::Fresh => {
                log.hold(&bent);
                assert_eq!(log.held(bent.author()), bent.last(), "all of it or nothing");
                log = LogIndex::default();
            }
            _ => assert_eq!((log.held(bent.author()), log.digest()), (held, digest)),
        }
    }
    for _ in 0..50_000 {
        let mut bytes = page.bytes().to_vec();
        dice.bend(&mut bytes);
        if let Ok(bent) = Page::decode(bytes.clone()) {
            assert_eq!(&bent.bytes()[..], &bytes[..]);
            for (position, entry) in bent.entries() {
                let _ = entry.verdict(position, dice.number());
            }
        }
    }
}

#[test]
fn two_hundred_thousand_random_commands_fold_to_one_state_and_never_panic() {
    let mut dice = Dice(3);
    let policy = Policy::default();
    let priorities =
        Priorities([(DeviceId([1; 16]), i32::MAX), (DeviceId([2; 16]), i32::MIN)].into());
    let mut epochs = Epochs::default();
    (0..5).for_each(|n| epochs.insert(author(n), None));
    for _ in 0..20_000 {
        let said: Vec<(Dot, Command, Option<Verdict>, Vector)> = (1..=10)
            .map(|n| {
                let by = dice.below(4) as u8;
                (
                    author(by).at(n),
                    dice.command(),
                    dice.verdict(),
                    dice.vector(),
                )
            })
            .collect();
        let records: Vec<Record<'_>> = said
            .iter()
            .map(|(dot, command, verdict, vector)| Record {
                command,
                dot: *dot,
                ctx: Context::new(&epochs, (vector, *dot), command.ctx.as_ref()),
                verdict: verdict.as_ref(),
            })
            .collect();
        let id = EntityId([2; 16]);
        let entity = fold("project", id, records.iter().copied(), &policy);
        assert_eq!(
            entity,
            fold("project", id, records.iter().copied(), &policy)
        );
        assert_eq!(
            entity.conflicts(&priorities).is_empty(),
            !entity.in_conflict()
        );
        for conflict in entity.conflicts(&priorities) {
            let _ = crate::merge::base(&records, &conflict, &priorities);
            let _ = crate::merge::life_base(&records, &conflict, (&priorities, &policy));
        }
        let _ = (entity.shown(&priorities), entity.state_sum());
        let _ = entity.key_claim(&["title".to_owned()], &priorities);
        stepped(&records, &policy);
    }
}

/// The cheap way, as far as it goes.
fn stepped(records: &[Record<'_>], policy: &Policy) {
    let mut entity = Entity::new("project", EntityId([2; 16]));
    for record in records {
        if entity.must_fold_to_apply(record.command) {
            return;
        }
        let undecided = Record {
            verdict: None,
            ..*record
        };
        entity.apply(&undecided, policy);
        if let Some(verdict) = record.verdict
            && !entity.must_fold((record.dot, record.command), verdict)
        {
            entity.accept(record.command, (record.dot, verdict.position), policy);
        }
    }
}

#[test]
fn a_hundred_thousand_random_wishes_are_refused_with_a_next_step_or_become_sound_commands() {
    let mut dice = Dice(4);
    let policy = Policy::default();
    let fields = [
        "title",
        "status",
        "tags",
        "print_credits",
        "client",
        "no_such_field",
        "",
    ];
    let types = [
        "project",
        "project",
        "client",
        "pos_order",
        "pos_void",
        "spaceship",
        "",
    ];
    let ops = [
        Op::Create,
        Op::Create,
        Op::Update,
        Op::Delete,
        Op::Restore,
        Op::Resolve,
    ];
    let mut sound = 0;
    for _ in 0..100_000 {
        let mut wished: Map<String, Json> = (0..dice.below(4))
            .map(|_| ((*dice.pick(&fields)).to_owned(), dice.json(2)))
            .collect();
        let (mut entity_type, mut op) = (*dice.pick(&types), *dice.pick(&ops));
        if dice.below(2) == 0 {
            // One that is sound but for what the dice add.
            (entity_type, op) = ("project", Op::Create);
            wished.insert("title".to_owned(), json!("Wedding"));
        }
        let mutation = Mutation {
            entity_type: entity_type.to_owned(),
            entity: (dice.below(2) == 0).then_some(EntityId([2; 16])),
            op,
            fields: wished,
            read: None,
            replaces: None,
        };
        let draw = Draw {
            device: DeviceId([1; 16]),
            id: CommandId([1; 16]),
            nonce: Nonce([1; 16]),
            ts: WallMs(dice.extreme()),
        };
        match command(&mutation, None, &policy, draw) {
            Ok(made) => {
                sound += 1;
                assert_eq!(made.fault(), None);
            }
            Err(refusal) => assert!(!refusal.detail.is_empty() && !refusal.code.is_empty()),
        }
    }
    assert!(sound > 1000, "some are sound: {sound}");
}
